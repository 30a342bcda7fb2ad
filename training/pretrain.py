"""Pre-training: predict masked tokens in all texts, and the label of each labelled text.

Masked language modelling is BERT's objective (Devlin et al., 2019, https://arxiv.org/abs/1810.04805). The
label costs almost nothing more, because the encoder has read the text already.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.engines.bert import BertClassifier
from worker.scoring.tokenizer import MASK, SPECIAL_TOKENS

MASK_ID = SPECIAL_TOKENS.index(MASK)
UNMASKED = 0.1  # share of the predicted tokens that are not replaced by [MASK]
# The labels are the purpose, and the gradients of masked language modelling are many times as large.
MLM_WEIGHT = 0.3


class MaskedLanguageModel(nn.Module):
    """An encoder with a head that predicts masked tokens. A forward returns the weighted loss."""

    def __init__(self, encoder: BertClassifier) -> None:
        super().__init__()
        self.encoder = encoder
        vocabulary, width = encoder.bert.embeddings.word_embeddings.weight.shape
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, ids: Tensor, mask: Tensor, targets: Tensor, weights: Tensor, rate: float) -> Tensor:
        """Return the loss of ids (n, length), of which a share of `rate` is predicted.

        `mask` (n, length) is 0 on padding. `targets` (n, labels) and `weights` (n,) are as in a `Corpus`.
        """
        predicted = (torch.rand(ids.shape, device=ids.device) < rate) & (ids >= len(SPECIAL_TOKENS))
        masked = predicted & (torch.rand(ids.shape, device=ids.device) >= UNMASKED)
        states = self.encoder.bert(torch.where(masked, MASK_ID, ids), mask)
        embeddings = self.encoder.bert.embeddings.word_embeddings.weight
        logits = functional.linear(self.head(states[predicted]), embeddings, self.bias).float()
        loss = functional.cross_entropy(logits, ids[predicted], reduction="sum") / max(1, len(logits))
        known = ~targets.isnan().any(1)
        labels = label_loss(self.encoder.classify(states)[known], targets[known], weights[known])
        return MLM_WEIGHT * loss + labels * known.float().mean()


def label_loss(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of logits against probabilities, both (n, labels); 0 for no rows.

    The loss of each row is multiplied by its weight; `weights` (n,) are 1 by default.
    """
    losses = functional.cross_entropy(logits.float(), targets, reduction="none")
    return (losses if weights is None else losses * weights).sum() / max(1, len(logits))
