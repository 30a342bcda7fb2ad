"""What a model computes for the texts of a corpus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.corpus import Corpus, batches
from worker.engines.bert import BertClassifier
from worker.packs.ngrams import NgramHead

BATCH_TOKENS = 4096
Compute = Callable[[Tensor, Tensor], Tensor]


def outputs(compute: Compute, corpus: Corpus, device: str) -> NDArray[np.float32]:
    """Return the rows (texts, columns), in order, that `compute` returns for ids and mask (n, length)."""
    parts: list[NDArray[Any]] = []
    numbers: list[NDArray[np.int64]] = []
    with torch.inference_mode():
        for rows in batches(corpus.lengths(), BATCH_TOKENS, np.random.default_rng(0)):
            ids, mask, *_ = (part.to(device) for part in corpus.padded(rows))
            parts.append(compute(ids, mask).float().cpu().numpy())
            numbers.append(rows)
    ordered: NDArray[np.float32] = np.concatenate(parts)[np.argsort(np.concatenate(numbers))]
    return ordered


def sentence_vectors(model: BertClassifier, corpus: Corpus, device: str) -> NDArray[np.float32]:
    """Return what the classification head reads of each text (texts, width), in order."""

    def pooled(ids: Tensor, mask: Tensor) -> Tensor:
        vectors: Tensor = torch.tanh(model.bert.pooler["dense"](model.bert(ids, mask)[:, 0]))
        return vectors

    return outputs(pooled, corpus, device)


def ngram_logits(head: NgramHead, corpus: Corpus) -> NDArray[np.float32]:
    """Return the logits of an n-gram head for each text (texts, labels), in order."""

    def compute(ids: Tensor, mask: Tensor) -> Tensor:
        return torch.from_numpy(head.logits(ids.numpy(), mask.numpy()))

    return outputs(compute, corpus, "cpu")
