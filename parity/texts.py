"""Texts for the comparison: shipped ones, reviews composed of them, and random odd ones (seeded)."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable

from samples.composed import composed_texts
from samples.shipped import read_calibration, read_reviews
from worker.packing.inputs import ASPECTS

ODD_SHARE = 0.25  # of the texts for probabilities
LONG_TEXTS = 20  # among the texts for ids; each has LONG_CODE_POINTS
LONG_CODE_POINTS = 10_000

_SPECIAL = ("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "[sep]", "[unused1]", "[ SEP ]", "[CLS")
_WORDS = "iPhone OK wifi emmm 666 3.14% C++ https://t.cn/Rx5 @user #tag# naïve Straße İstanbul ΣΑΣ Ωmega"
_TRADITIONAL = "這家餐廳的味道實在太棒了，服務親切，價錢實惠！電視畫質優良，聲音卻斷斷續續；氣得發瘋。"
_EMOJI = "😀😡👍❤💔🤮🥹⭐☎©™㊗🈚🀄👨👩👧🏳🌈"
_JOINERS = ("", "\u200d", "\ufe0f", "\ufe0e", "\U0001f3fd", "\u20e3")
_SPACES = "\t\n\r \u00a0\u1680\u2003\u2028\u2029\u202f\u3000\x0b\x0c\x1c\x85"
_MARKS = ((0x300, 0x36F), (0x20D0, 0x20F0), (0x591, 0x5C7), (0x64B, 0x65F), (0x93A, 0x94D), (0xE31, 0xE4E))
_LETTERS = (
    (0xC0, 0x24F),
    (0x370, 0x3FF),
    (0x400, 0x52F),
    (0x1E00, 0x1FFF),
    (0x3040, 0x30FF),
    (0xAC00, 0xD7A3),
)
_HAN = (
    (0x20000, 0x2A6DF), (0x2A700, 0x2B738), (0x2B740, 0x2B81D), (0x2B820, 0x2CEA1), (0x2CEB0, 0x2EBE0),
    (0x30000, 0x3134A), (0x3400, 0x4DBF), (0xF900, 0xFAD9), (0x2F800, 0x2FA1D), (0x2E80, 0x2FDF),
    (0x2FF0, 0x2FFB),
)  # fmt: skip
_CONTROLS = (
    (0x0, 0x1F),
    (0x7F, 0x9F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0xFFF9, 0xFFFF),
)

Kind = Callable[[random.Random], str]


def shipped_texts() -> list[str]:
    """Return the reviews and the calibration texts of this repository."""
    return [review.text for review in read_reviews()] + read_calibration()


def review_texts(count: int, seed: int) -> list[str]:
    """Return `count` texts: three quarters shipped, the others odd but without lone surrogates."""
    chance = random.Random(seed)  # noqa: S311  no secret
    encodable = [kind for kind in KINDS if kind is not _surrogates]
    odd = [_odd(chance, encodable) for _ in range(int(count * ODD_SHARE))]
    shipped = shipped_texts()
    return chance.sample(shipped, min(count - len(odd), len(shipped))) + odd


def pair_texts(count: int, seed: int) -> list[tuple[str, str]]:
    """Return `count` pairs of an aspect and a text; the aspects are words, some of them odd.

    None contains a special token: in pairs it is plain text to Sentiq, but not to the stock pipeline.
    """
    chance = random.Random(seed)  # noqa: S311  no secret
    kinds = [kind for kind in KINDS if kind not in (_surrogates, _special, _long_word)]
    texts = [text for text in (*shipped_texts(), *composed_texts(count, seed)) if "[" not in text]
    aspects = [*ASPECTS, *(chance.choice(kinds)(chance) for _ in ASPECTS)]
    odd = [_odd(chance, kinds) for _ in range(int(count * ODD_SHARE))]
    plain = chance.sample(texts, count - len(odd))
    return [(chance.choice(aspects), text) for text in plain + odd]


def id_texts(count: int, seed: int) -> list[str]:
    """Return `count` texts: the shipped, as many composed, LONG_TEXTS long ones, and the rest odd."""
    chance = random.Random(seed)  # noqa: S311  no secret
    shipped = shipped_texts()
    long = [_long_text(chance) for _ in range(LONG_TEXTS)]
    plain = [*shipped, *composed_texts(len(shipped), seed), *long][:count]
    return plain + [_odd(chance, KINDS) for _ in range(count - len(plain))]


def _long_text(chance: random.Random) -> str:
    return "".join(_odd(chance, KINDS) for _ in range(400))[:LONG_CODE_POINTS].ljust(LONG_CODE_POINTS, "好")


def _odd(chance: random.Random, kinds: list[Kind]) -> str:
    """Return one to four pieces of random kinds, joined by a random separator."""
    pieces = [kind(chance) for kind in chance.choices(kinds, k=chance.randint(1, 4))]
    separator = chance.choice(("", "", " ", "很好", "，", _among(chance, _SPACES)))
    return separator.join(pieces)


def _traditional(chance: random.Random) -> str:
    return "".join(chance.choices(_TRADITIONAL, k=chance.randint(1, 30)))


def _full_width(chance: random.Random) -> str:
    return "".join(chr(chance.randint(0xFF00, 0xFFEF)) for _ in range(chance.randint(1, 12)))


def _emoji(chance: random.Random) -> str:
    signs = [_among(chance, _EMOJI) + chance.choice(_JOINERS) for _ in range(chance.randint(1, 8))]
    flag = chr(chance.randint(0x1F1E6, 0x1F1FF)) + chr(chance.randint(0x1F1E6, 0x1F1FF))
    return "".join(signs) + chance.choice(("", flag, chr(chance.randint(0x1F300, 0x1FAFF))))


def _english(chance: random.Random) -> str:
    return "".join(chance.choice(_WORDS.split()) + chance.choice(("", " ", "-", "，")) for _ in range(4))


def _rare_han(chance: random.Random) -> str:
    return _of_ranges(chance, _HAN, 12)


def _controls(chance: random.Random) -> str:
    return "差" + _of_ranges(chance, _CONTROLS, 6) + "a" + _of_ranges(chance, _CONTROLS, 6) + "b"


def _spaces(chance: random.Random) -> str:
    return "好" + "".join(chance.choices(_SPACES + "ab好", k=8)) + "c"


def _accents(chance: random.Random) -> str:
    letters = _of_ranges(chance, _LETTERS, 5)
    marked = "".join(letter + _of_ranges(chance, _MARKS, 2) for letter in letters + "aEo")
    return unicodedata.normalize(chance.choice(("NFC", "NFD", "NFKC")), marked)


def _special(chance: random.Random) -> str:
    return "很" + chance.choice(_SPECIAL) * chance.randint(1, 2) + chance.choice(("", " ", "a")) + "好"


def _long_word(chance: random.Random) -> str:
    """Return a word of about 100 characters, the length beyond which BERT makes it one unknown token."""
    return "".join(chance.choices("abcdeXYZ0123é", k=chance.choice((99, 100, 101, chance.randint(90, 300)))))


def _surrogates(chance: random.Random) -> str:
    return "真" + chr(chance.randint(0xD800, 0xDFFF)) + chance.choice(("a", "好", " ", "")) + "差"


def _anything(chance: random.Random) -> str:
    return _of_ranges(chance, ((0x1, 0xD7FF), (0xE000, 0x323FF), (0xE0000, 0x10FFFF)), 10)


def _among(chance: random.Random, characters: str) -> str:
    return chance.choice(characters)


def _of_ranges(chance: random.Random, ranges: tuple[tuple[int, int], ...], max_count: int) -> str:
    chosen = chance.choices(ranges, k=chance.randint(1, max_count))
    return "".join(chr(chance.randint(first, last)) for first, last in chosen)


KINDS: list[Kind] = [
    _traditional, _full_width, _emoji, _english, _rare_han, _controls, _spaces, _accents, _special,
    _long_word, _surrogates, _anything,
]  # fmt: skip
