"""The BERT tokenizer of a pack; its token ids equal those of `transformers.BertTokenizer`."""

from __future__ import annotations

import os
import re
import unicodedata
from functools import cache
from itertools import groupby
from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

PAD, UNKNOWN, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNKNOWN, CLS, SEP, MASK)
SURROGATE = re.compile("[\ud800-\udfff]")

# Characters that are words of their own: what BERT calls punctuation, and the blocks of Han.
_ALONE = (
    r"[\p{P}$+<=>^`|~\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}"
    r"\x{20000}-\x{2A6DF}\x{2A700}-\x{2CEAF}\x{2F800}-\x{2FA1F}]"
)
_PLANES = 0x40000  # code points from here on are unassigned or private in every Unicode table


def load_tokenizer(vocabulary: Path, *, pairs: bool = False) -> Tokenizer:
    """Return the uncased Chinese BERT tokenizer over a `vocab.txt`: a token a line, its id the line number.

    It adds [CLS] and [SEP]; it neither truncates nor pads. Raises ValueError when a special token is missing.
    For `pairs`, [SEP] in a text is plain text, since the token ends the first part of a pair.
    """
    # Not splitlines(): other line separators, such as U+2028, may be tokens.
    pieces = vocabulary.read_text("utf-8").rstrip("\n").split("\n")
    ids = {piece: number for number, piece in enumerate(pieces)}
    missing = [token for token in SPECIAL_TOKENS if token not in ids]
    if missing:
        raise ValueError(f"{vocabulary.name}: lacks the special tokens {', '.join(missing)}")
    # The tokenizer's threads would compete for a child's one core, and they do not survive a fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    tokenizer = Tokenizer(WordPiece(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(_ALONE), "isolated")]
    )
    tokenizer.post_processor = processors.BertProcessing((SEP, ids[SEP]), (CLS, ids[CLS]))
    if not pairs:
        # BERT reads "[SEP]" in a text as the special token.
        tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def mark_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Return the ids of the pieces that consist of punctuation and symbols."""
    pieces = tokenizer.get_vocab()
    return frozenset(number for piece, number in pieces.items() if all(map(_is_mark, piece)))


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] in "PS"


@cache
def _normalizer() -> normalizers.Normalizer:
    """Return the normalizer that drops control characters and accents and lowers the case.

    The library's `BertNormalizer` does not fit: its Unicode tables and its blocks of Han have gaps.
    """
    dropped = rf"[[\p{{C}}\x{{FFFD}}{_unassigned()}]&&[^\t\n\r]]"
    return normalizers.Sequence(
        [
            normalizers.Replace(Regex(dropped), ""),
            normalizers.NFD(),
            normalizers.Replace(Regex(r"\p{Mn}"), ""),
            normalizers.Lowercase(),
        ]
    )


def _unassigned() -> str:
    """Return the ranges of code points that are unassigned in this Python, which BERT's tokenizer drops."""
    assigned = groupby(range(_PLANES), lambda point: unicodedata.category(chr(point)) != "Cn")
    gaps = [list(run) for known, run in assigned if not known]
    return "".join(rf"\x{{{gap[0]:X}}}-\x{{{gap[-1]:X}}}" for gap in gaps)
