"""The tokens that occur in the texts that a pack has learned from: a bit for each token of its vocabulary.

Token `i` is bit `i % 8`, counted from the lowest, of byte `i // 8`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from worker.packs.pack import Pack, PackError

SEEN_FILE = "seen.bin"


def write_seen(tokens: Iterable[int], vocabulary: int, path: Path) -> None:
    """Write which ids of a vocabulary of this size are among the `tokens`."""
    bits = bytearray(_bytes(vocabulary))
    for token in tokens:
        bits[token // 8] |= 1 << token % 8
    path.write_bytes(bits)


def read_seen(pack: Pack) -> Sequence[bool] | None:
    """Return for each id whether the token occurs; None if the pack does not record it. Raises PackError."""
    if SEEN_FILE not in pack.files:
        return None
    bits, vocabulary = pack.path(SEEN_FILE).read_bytes(), int(pack.architecture["vocabulary"])
    if len(bits) != _bytes(vocabulary):
        expected = f"{_bytes(vocabulary)} for a vocabulary of {vocabulary}"
        raise PackError(f"{SEEN_FILE}: has {len(bits)} bytes, expected {expected}")
    return [bool(bits[token // 8] >> token % 8 & 1) for token in range(vocabulary)]


def _bytes(vocabulary: int) -> int:
    return -(-vocabulary // 8)
