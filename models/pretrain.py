"""Pre-training without labels: a small generator fills hidden tokens, the encoder tells which those are.

The objective is ELECTRA's (Clark et al., 2020, https://arxiv.org/abs/2003.10555). It learns from every token,
not only from the hidden ones, which matters when processor time is short. The generator is thrown away.
"""
# ruff: noqa: INP001  a folder of scripts

import torch
from torch import Tensor, nn
from torch.nn import functional

from worker.engines.bert import BertClassifier, BertShape
from worker.tokenizer import MASK, SPECIAL_TOKENS

GENERATOR_LAYERS, GENERATOR_SHARE = 2, 2  # layers of the generator, and the encoder's width over its own
MASK_ID = SPECIAL_TOKENS.index(MASK)


def generator_shape(shape: BertShape) -> BertShape:
    """The shape of the generator beside an encoder of `shape`."""
    width = shape.width // GENERATOR_SHARE
    return BertShape(shape.vocabulary, shape.positions, width, GENERATOR_LAYERS, shape.heads, 4 * width)


class ReplacedTokens(nn.Module):
    """Encoder and generator with their heads; a forward gives the sum of their losses."""

    def __init__(self, encoder: BertClassifier, generator: BertClassifier) -> None:
        super().__init__()
        self.encoder, self.generator = encoder, generator
        vocabulary, small = generator.bert.embeddings.word_embeddings.weight.shape
        width = encoder.bert.embeddings.word_embeddings.embedding_dim
        self.fill = nn.Sequential(nn.Linear(small, small), nn.GELU(), nn.LayerNorm(small))
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.tell = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, ids: Tensor, mask: Tensor, rate: float) -> Tensor:
        """Loss of token ids (n, length) of which a share of `rate` is hidden; `mask` is 0 on padding."""
        hidden = (torch.rand(ids.shape) < rate) & (ids >= len(SPECIAL_TOKENS))
        guesses = self._guess(torch.where(hidden, MASK_ID, ids), mask, hidden)
        shown = ids.clone()
        shown[hidden] = _sample(guesses.detach())
        told = self.tell(self.encoder.bert(shown, mask))[mask > 0].squeeze(1).float()
        replaced = (shown != ids)[mask > 0].float()
        return functional.cross_entropy(guesses, ids[hidden]) + functional.binary_cross_entropy_with_logits(
            told, replaced
        )

    def _guess(self, ids: Tensor, mask: Tensor, hidden: Tensor) -> Tensor:
        """Logits (hidden tokens, vocabulary) of what stood there."""
        states = self.fill(self.generator.bert(ids, mask)[hidden])
        embeddings = self.generator.bert.embeddings.word_embeddings.weight
        return functional.linear(states, embeddings, self.bias).float()


def _sample(logits: Tensor) -> Tensor:
    """One token a row, with the probabilities of its logits."""
    reached = logits.softmax(1).cumsum(1)
    drawn = torch.rand(len(logits), 1) * reached[:, -1:]
    return torch.searchsorted(reached, drawn).squeeze(1).clamp(max=logits.shape[1] - 1)
