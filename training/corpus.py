"""Texts for training: vocabulary, token ids and batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import normalizers, pre_tokenizers
from torch import Tensor

from worker.scoring.tokenizer import SPECIAL_TOKENS, load_tokenizer

Targets = NDArray[np.float32]


@dataclass(frozen=True)
class Corpus:
    """Texts as token ids: text i is `ids[starts[i]:starts[i + 1]]`.

    `targets` (n, labels) are the probabilities of the labels of each text, NaN for a text without a label.
    `weights` (n,) say how much the label of each text counts.
    """

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    targets: Targets
    weights: NDArray[np.float32]

    def lengths(self) -> NDArray[np.int64]:
        """Return the number of tokens of each text (n,)."""
        return np.diff(self.starts)

    def padded(self, rows: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Return ids and mask, both (n, longest), targets and weights of the rows with these numbers (n,)."""
        lengths = self.lengths()[rows]
        columns = np.arange(lengths.max())
        mask = columns < lengths[:, None]
        positions = np.minimum(self.starts[rows][:, None] + columns, len(self.ids) - 1)
        ids = np.where(mask, self.ids[positions], 0)
        parts = ids, mask.astype(np.int64), self.targets[rows], self.weights[rows]
        return tuple(map(torch.from_numpy, parts))


def one_hot(numbers: Sequence[int] | NDArray[np.int64], labels: int) -> Targets:
    """Return the targets (n, labels) of texts whose labels are certain, from the label numbers (n,)."""
    return np.eye(labels, dtype=np.float32)[np.asarray(numbers, np.int64)]


def unlabelled(texts: int, labels: int) -> Targets:
    """Return the targets (texts, labels) of texts without a label."""
    return np.full((texts, labels), np.nan, np.float32)


def build_vocabulary(texts: list[str], size: int, *, min_count: int = 4) -> list[str]:
    """Return at most `size` pieces: special tokens, then the most frequent pieces.

    Pieces are characters, continuations and, from ten times `min_count` on, whole non-Chinese words.
    """
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = Counter(
        word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
    )
    pieces: Counter[str] = Counter()
    for word, count in words.items():
        pieces[word[0]] += count
        pieces.update({"##" + character: count for character in dict.fromkeys(word[1:])})
        if len(word) > 1 and count >= 10 * min_count:
            pieces[word] += count
    return [*SPECIAL_TOKENS, *(piece for piece, count in pieces.most_common(size - 5) if count >= min_count)]


def encode(
    texts: Sequence[str],
    targets: Targets,
    vocabulary: Path,
    max_tokens: int,
    weights: NDArray[np.float32] | None = None,
) -> Corpus:
    """Return the tokenised texts, each truncated to `max_tokens` with [SEP] kept. Default weights are 1."""
    encodings = load_tokenizer(vocabulary).encode_batch_fast(list(texts))
    rows = [_truncated(encoding.ids, max_tokens) for encoding in encodings]
    starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    ids = np.fromiter((i for row in rows for i in row), np.int64)
    return Corpus(ids, starts, targets, np.ones(len(rows), np.float32) if weights is None else weights)


def _truncated(ids: list[int], max_tokens: int) -> list[int]:
    return ids if len(ids) <= max_tokens else [*ids[: max_tokens - 1], ids[-1]]


def batches(
    lengths: NDArray[np.int64], tokens: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield the row numbers of one epoch in shuffled batches of about `tokens`, each of similar lengths."""
    order = generator.permutation(len(lengths))
    for shuffled in np.array_split(order, max(1, len(order) // 4096)):
        pool = shuffled[np.argsort(lengths[shuffled], kind="stable")]
        cuts = np.flatnonzero(np.diff(np.cumsum(lengths[pool]) // tokens)) + 1
        groups = np.split(pool, cuts)
        for number in generator.permutation(len(groups)):
            yield groups[number]
