"""The n-gram head of a pack: a linear model of the n-grams of a text, beside its encoder.

An n-gram is one to four tokens in a row. Its key has 16 bits for each token, `id + 1`, the first token in
the highest ones, and zeros for those that are missing: no two n-grams share a key. The features of a text are
its distinct n-grams, each with its naive Bayes ratio, scaled to unit length (NB-SVM: Wang and Manning, 2012,
https://aclanthology.org/P12-2018). The logits depend on the token row alone, so what holds for those of the
encoder holds for the sum: they are the same in any batch, and cached by row.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worker.packs.pack import NGRAMS_FILE, Pack, PackError

MAX_LENGTH = 4
MAX_VOCABULARY = 2**16 - 1
_BITS = 16
_DTYPES = {
    "keys": np.dtype(np.uint64),
    "weights": np.dtype(np.int8),
    "ratios": np.dtype(np.uint8),
    "scale": np.dtype(np.float32),
}

# What numpy and zipfile raise for an archive that is cut off, changed, or of a kind that they cannot read.
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class NgramHead:
    """A table of n-grams, with their keys (n,) in ascending order.

    `weights` (n, labels) are ratio times coefficient, `ratios` (n, labels) are absolute values, both in
    8 bits. A logit is `scale` (labels,) times the sum of the weights, over the length of the ratios.
    """

    keys: NDArray[np.uint64]
    weights: NDArray[np.int8]
    ratios: NDArray[np.uint8]
    scale: NDArray[np.float32]

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits (n, labels) of padded rows (n, length), each from [CLS] to [SEP]."""
        inner = mask.copy()
        inner[:, 0] = 0
        inner[np.arange(len(mask)), np.maximum(mask.sum(axis=1) - 1, 0)] = 0
        keys = ngram_keys(ids, inner)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        # Of equal n-grams in a row, the first counts. Unknown ones share the place after the last.
        places = np.sort(np.where(self.keys[places] == keys, places, len(self.keys)))
        counted = places < len(self.keys)
        counted[:, 1:] &= places[:, 1:] != places[:, :-1]
        places = np.where(counted, places, 0)
        # Whole numbers have one sum, in any order of the n-grams.
        weight = (self.weights[places] * counted[:, :, None]).sum(axis=1, dtype=np.int64)
        ratios = self.ratios[places] * counted[:, :, None]
        length = np.sqrt(np.square(ratios, dtype=np.int64).sum(axis=1))
        return np.float32(self.scale) * (weight / np.maximum(length, 1)).astype(np.float32)


def ngram_keys(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the key of the n-gram of each length at each place (n, MAX_LENGTH * length).

    It is 0 where the n-gram would contain a token whose `mask` (n, length) is 0.
    """
    codes = ((ids + 1) * mask).astype(np.uint64)
    keys = np.zeros((len(ids), MAX_LENGTH, ids.shape[1]), np.uint64)
    keys[:, 0] = codes << np.uint64(_BITS * (MAX_LENGTH - 1))
    for number in range(1, min(MAX_LENGTH, ids.shape[1])):
        last, begin = codes[:, number:], keys[:, number - 1, :-number]
        longer = begin | last << np.uint64(_BITS * (MAX_LENGTH - 1 - number))
        keys[:, number, :-number] = np.where((begin > 0) & (last > 0), longer, np.uint64(0))
    return keys.reshape(len(ids), -1)


def ngram_tokens(key: int) -> tuple[int, ...]:
    """Return the ids of the tokens of an n-gram, by its key."""
    parts = (key >> _BITS * place & MAX_VOCABULARY for place in reversed(range(MAX_LENGTH)))
    return tuple(part - 1 for part in parts if part)


def write_ngrams(head: NgramHead, path: Path) -> None:
    """Write a head, whole or not at all. Equal heads give equal files."""
    partial = path.with_name(f".{path.name}")
    with partial.open("wb") as file:
        np.savez_compressed(file, **vars(head))
    partial.replace(path)


def read_ngrams(pack: Pack) -> NgramHead | None:
    """Return the head of a pack; None if it has none. Raises PackError."""
    if NGRAMS_FILE not in pack.files:
        return None
    return read_head(pack.path(NGRAMS_FILE), int(pack.architecture["vocabulary"]), len(pack.labels))


def read_head(path: Path, vocabulary: int, labels: int) -> NgramHead:
    """Return the head in a file. `vocabulary` and `labels` are the sizes of its model. Raises PackError."""
    if vocabulary > MAX_VOCABULARY:
        cause = f"needs a vocabulary of at most {MAX_VOCABULARY}, and the model has {vocabulary}"
        raise PackError(f"{NGRAMS_FILE}: {cause}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            read = {name: arrays[name] for name in _DTYPES}
    except _UNREADABLE as error:
        raise PackError(f"{NGRAMS_FILE}: cannot be read: {error}") from error
    head = NgramHead(**read)
    for cause in _faults(head, labels):
        raise PackError(f"{NGRAMS_FILE}: {cause}")
    return head


def _faults(head: NgramHead, labels: int) -> list[str]:
    """Return what is wrong with the arrays; empty when nothing is."""
    table = (head.keys.size, labels)
    shapes = {"keys": (head.keys.size,), "weights": table, "ratios": table, "scale": (labels,)}
    wrong = [
        f"{name} is {array.dtype} {array.shape}, expected {_DTYPES[name]} {shapes[name]}"
        for name, array in vars(head).items()
        if (array.dtype, array.shape) != (_DTYPES[name], shapes[name])
    ]
    if wrong:
        return wrong
    checks = {
        "keys is empty": head.keys.size > 0,
        "keys are not in ascending order": bool((head.keys[1:] > head.keys[:-1]).all()),
        "scale is not finite": bool(np.isfinite(head.scale).all()),
    }
    return [cause for cause, holds in checks.items() if not holds]
