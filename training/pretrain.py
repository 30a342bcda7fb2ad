"""Pre-training: fill hidden tokens of all texts and, where a text has a label, tell it from what is left.

The first is BERT's objective (Devlin et al., 2019, https://arxiv.org/abs/1810.04805). The second costs
nothing more, since the encoder has read the text anyway.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.engines.bert import BertClassifier
from worker.scoring.tokenizer import MASK, SPECIAL_TOKENS

MASK_ID = SPECIAL_TOKENS.index(MASK)
SHOWN = 0.1  # share of the tokens to be filled that stay as they are
# Of the loss of filling: the labels are the purpose, and its gradients are many times as large as theirs.
FILL_WEIGHT = 0.3


class HiddenTokens(nn.Module):
    """An encoder with a head that fills hidden tokens; a forward gives the sum of both losses, weighted."""

    def __init__(self, encoder: BertClassifier) -> None:
        super().__init__()
        self.encoder = encoder
        vocabulary, width = encoder.bert.embeddings.word_embeddings.weight.shape
        self.fill = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, ids: Tensor, mask: Tensor, positive: Tensor, rate: float) -> Tensor:
        """Loss of ids (n, length) of which a share of `rate` is to be filled; `mask` is 0 on padding.

        `positive` (n) is the probability of the label, or below zero where it is not known.
        """
        asked = (torch.rand(ids.shape, device=ids.device) < rate) & (ids >= len(SPECIAL_TOKENS))
        hidden = asked & (torch.rand(ids.shape, device=ids.device) >= SHOWN)
        states = self.encoder.bert(torch.where(hidden, MASK_ID, ids), mask)
        embeddings = self.encoder.bert.embeddings.word_embeddings.weight
        filled = functional.linear(self.fill(states[asked]), embeddings, self.bias).float()
        loss = functional.cross_entropy(filled, ids[asked], reduction="sum") / max(1, len(filled))
        known = positive >= 0
        told = label_loss(self.encoder.classify(states)[known], positive[known])
        return FILL_WEIGHT * loss + told * known.float().mean()


def label_loss(logits: Tensor, positive: Tensor) -> Tensor:
    """Cross-entropy of logits (n, 2) against probabilities of `positive` (n); 0 for no rows."""
    wanted = torch.stack([1 - positive, positive], 1)
    return functional.cross_entropy(logits.float(), wanted, reduction="sum") / max(1, len(logits))
