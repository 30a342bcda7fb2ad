"""Inputs made of known ones: cut, doubled, joined, with bytes put in. A seed always gives the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

MOST_BYTES = 4096
INTERESTING = [
    *(b"\x00", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"),
    *(b"-1", b"0", b"1e999", b"9" * 40, b"NaN", b"Infinity", b"null", b"true", b"\\ud800", b"\\u0000"),
    *(b'"', b"'", b"\\", b"\r", b"\n", b"\r\n", b"\t", b" ", b",", b";", b":", b"=", b"%00", b"%", b"/../"),
    *(b"[" * 50, b"{" * 50, b"[]", b"{}", b'{"":', b"[[", b"}", b"]"),
    *(
        "好".encode(),
        "𠮷".encode(),
        "\u2028".encode(),
        "\u202e".encode(),
        "\u017f".encode(),
        "\u0130".encode(),
    ),
]
Change = Callable[["Mutator", bytes], bytes]


class Mutator:
    """Makes inputs of a corpus and of `words` that mean something to the target."""

    def __init__(self, seed: str, corpus: Sequence[bytes], words: Sequence[bytes] = ()) -> None:
        self.rng = random.Random(seed)
        self._corpus = list(corpus) or [b""]
        self.words = [*words, *INTERESTING]

    def next(self) -> bytes:
        """Return another input, of 4 KiB at most."""
        data = self.rng.choice(self._corpus)
        for _ in range(self.rng.choice((1, 1, 2, 3, 5, 8))):
            data = self.rng.choice(CHANGES)(self, data)[:MOST_BYTES]
        return data

    def other(self) -> bytes:
        return self.rng.choice(self._corpus)

    def span(self, data: bytes) -> tuple[int, int]:
        """Return where a part of the input begins and ends."""
        start = self.rng.randrange(len(data) + 1)
        return start, min(len(data), start + self.rng.choice((1, 1, 2, 4, 16, 64)))


def _flip(by: Mutator, data: bytes) -> bytes:
    if not data:
        return by.rng.randbytes(1)
    at = by.rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << by.rng.randrange(8)]) + data[at + 1 :]


def _put_in(by: Mutator, data: bytes) -> bytes:
    start, end = by.span(data)
    return data[:start] + by.rng.choice(by.words) + data[by.rng.choice((start, end)) :]


def _leave_out(by: Mutator, data: bytes) -> bytes:
    start, end = by.span(data)
    return data[:start] + data[end:]


def _repeat(by: Mutator, data: bytes) -> bytes:
    start, end = by.span(data)
    return data[:end] + data[start:end] * by.rng.choice((1, 2, 10, 100)) + data[end:]


def _join(by: Mutator, data: bytes) -> bytes:
    other = by.other()
    start, _ = by.span(data)
    from_there, _ = by.span(other)
    return data[:start] + other[from_there:]


def _cut(by: Mutator, data: bytes) -> bytes:
    return data[: by.rng.randrange(len(data) + 1)]


def _random(by: Mutator, data: bytes) -> bytes:
    start, end = by.span(data)
    return data[:start] + by.rng.randbytes(by.rng.choice((1, 2, 4, 8))) + data[end:]


CHANGES: Sequence[Change] = (_flip, _put_in, _put_in, _leave_out, _repeat, _join, _cut, _random)
