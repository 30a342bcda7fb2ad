"""Find near copies: texts that share half of their windows of ten characters, or differ by one or two.

Only letters and digits are compared, in lower case. Needs numpy only.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WINDOW = 10
SHARE = 0.5  # of the windows of the text that has fewer
# One other character may change all windows of a text of fewer than 29 characters, so shorter texts are also
# compared with a character left out. Texts below eight characters may mean another thing then.
SHORTEST, LONGEST = 8, 28
# In a window of many texts, each text is compared with so many that follow it in the order of the texts.
NEIGHBOURS = 16
_BASE = 0x9E37_79B9_7F4A_7C15  # odd, so that it has an inverse modulo 2^64
_INVERSE = pow(_BASE, -1, 2**64)

Pairs = NDArray[np.int64]


def group(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return the group of each text (n,), named by its first text. Copies of copies are together."""
    first = list(range(len(texts)))

    def find(number: int) -> int:
        while first[number] != number:
            first[number] = number = first[first[number]]
        return number

    for one, other in _pairs(texts).tolist():
        low, high = sorted((find(one), find(other)))
        first[high] = low
    return np.array([find(number) for number in range(len(texts))], np.int64)


def between(texts: Sequence[str], others: Sequence[str]) -> list[tuple[int, int]]:
    """Return the near copies in two lists as pairs of a number of `texts` and one of `others`, in order."""
    pairs = np.sort(_pairs([*texts, *others]), axis=1)
    crossing = pairs[(pairs[:, 0] < len(texts)) & (pairs[:, 1] >= len(texts))]
    return sorted({(one, other - len(texts)) for one, other in crossing.tolist()})


def _pairs(texts: Sequence[str]) -> Pairs:
    """Return the numbers of near copies (pairs, 2); a pair may occur twice, in either order."""
    stripped = list(map(plain, texts))
    # Copies often begin alike. In this order they are neighbours.
    order = np.array(sorted(range(len(stripped)), key=stripped.__getitem__), np.int64)
    characters = _Characters([stripped[number] for number in order])
    return order[np.concatenate([_sharing_windows(characters), _nearly_equal(characters)])]


def plain(text: str) -> str:
    """Return the letters and digits of a text in lower case, which are compared; all of it without any."""
    lower = unicodedata.normalize("NFKC", text).casefold()
    return "".join(filter(str.isalnum, lower)) or text.strip()


class _Characters:
    """The characters of all texts: `codes`, the text that each belongs to, and its place there, all (m,)."""

    def __init__(self, texts: Sequence[str]) -> None:
        joined = "".join(texts).encode("utf-32-le", "surrogatepass")
        self.codes = np.frombuffer(joined, "<u4").astype(np.uint64)
        self.lengths = np.array(list(map(len, texts)), np.int64)
        self.ends = np.cumsum(self.lengths)
        self.owner = np.repeat(np.arange(len(texts)), self.lengths)
        self.place = np.arange(len(self.codes)) - (self.ends - self.lengths)[self.owner]


def _sharing_windows(characters: _Characters) -> Pairs:
    """Return the pairs of texts that share at least SHARE of their windows."""
    count, texts = max(0, len(characters.codes) - WINDOW + 1), len(characters.lengths)
    keys = np.zeros(count, np.uint64)
    for place in range(WINDOW):
        keys = keys * np.uint64(_BASE) + characters.codes[place : place + count]
    owner, last = characters.owner[:count], characters.owner[WINDOW - 1 :]
    keys, owners = _sorted(keys[owner == last], owner[owner == last])
    windows = np.bincount(owners, minlength=texts)
    pairs = _together(keys, owners)
    numbers, shared = np.unique(pairs[:, 0] * texts + pairs[:, 1], return_counts=True)
    pairs = np.stack(np.divmod(numbers, max(1, texts)), 1)
    return pairs[shared >= SHARE * windows[pairs].min(axis=1)]


def _nearly_equal(characters: _Characters) -> Pairs:
    """Return the pairs of texts that are equal, or are so with at most one character left out of each.

    The key of a text is the sum of its characters, each times a power of the base; without character k, the
    powers of those behind it are one lower.
    """
    powers = np.cumprod(np.full(characters.lengths.max(initial=0) + 1, _BASE, np.uint64))
    terms = characters.codes * powers[characters.place]
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    begins = sums[characters.ends - characters.lengths]
    whole = sums[characters.ends] - begins
    before = sums[:-1] - begins[characters.owner]
    without = before + (whole[characters.owner] - before - terms) * np.uint64(_INVERSE)
    length = characters.lengths[characters.owner]
    used = (length >= SHORTEST) & (length <= LONGEST)
    keys = np.concatenate([whole, without[used]])
    owners = np.concatenate([np.arange(len(whole)), characters.owner[used]])
    return _together(*_sorted(keys, owners))


def _sorted(keys: NDArray[np.uint64], owners: NDArray[np.int64]) -> tuple[NDArray[np.uint64], Pairs]:
    """Return the keys with their texts (m,), by key and then text, each combination once."""
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    new = np.ones(len(keys), bool)
    new[1:] = (keys[1:] != keys[:-1]) | (owners[1:] != owners[:-1])
    return keys[new], owners[new]


def _together(keys: NDArray[np.uint64], owners: NDArray[np.int64]) -> Pairs:
    """Return pairs of texts with the same key (pairs, 2), one pair for each such key."""
    pairs = [np.empty((0, 2), np.int64)]
    for distance in range(1, NEIGHBOURS + 1):
        same = keys[distance:] == keys[:-distance]
        pairs.append(np.stack([owners[:-distance][same], owners[distance:][same]], 1))
    return np.concatenate(pairs)
