"""First weights that save a short training run what it would otherwise spend its budget on."""
# ruff: noqa: INP001  a folder of scripts

import numpy as np
import torch
from torch import Tensor, nn

from models.corpus import Corpus
from worker.engines.bert import BertClassifier, BertShape, SelfAttention

NEIGHBOURS = (-1, 1, -2, 2)
FIRST_LAYERS = 2
SCALE = 0.04


def initialise(model: BertClassifier, shape: BertShape, corpus: Corpus) -> None:
    """Meaningful token embeddings, and first layers whose heads look at the neighbouring tokens."""
    model.apply(_random)
    embeddings, width = model.bert.embeddings, shape.width // shape.heads
    with torch.no_grad():
        embeddings.word_embeddings.weight.zero_()
        vectors = character_vectors(corpus, shape.vocabulary, shape.width - width)
        embeddings.word_embeddings.weight[:, width:] = vectors
        embeddings.token_type_embeddings.weight.zero_()
        embeddings.position_embeddings.weight.zero_()
        turns = torch.rand(width // 2) * torch.pi
        angles = torch.arange(shape.positions)[:, None] * turns
        waves = torch.stack([angles.cos(), angles.sin()], 2).flatten(1)
        embeddings.position_embeddings.weight[:, :width] = waves * SCALE * 2**0.5
        for attention in [part for part in model.modules() if isinstance(part, SelfAttention)][:FIRST_LAYERS]:
            _look_at_neighbours(attention, turns, width)


def character_vectors(corpus: Corpus, size: int, width: int) -> Tensor:
    """Token embeddings (size, width): the leading factors of positive pointwise mutual information."""
    counts = np.zeros(size * size, np.float32)
    for distance in (1, 2, 3):
        pairs = corpus.ids[:-distance] * size + corpus.ids[distance:]
        counts += np.bincount(pairs, minlength=size * size).astype(np.float32)
    table = torch.from_numpy(counts.reshape(size, size))
    table = table + table.T
    totals = table.sum(0).clamp(min=1)
    smooth = totals**0.75 / (totals**0.75).sum()
    information = (table / (totals[:, None] * smooth) + 1e-9).log().clamp(min=0)
    left, strengths, _ = torch.svd_lowrank(information, q=width, niter=4)
    vectors = left * strengths.sqrt()
    return vectors * (SCALE / vectors.std())


def _random(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=SCALE)
        nn.init.zeros_(module.bias)


def _look_at_neighbours(attention: SelfAttention, turns: Tensor, width: int) -> None:
    """Head h looks at the token at NEIGHBOURS[h]: a position's waves, turned, match that neighbour's."""
    for head, offset in enumerate(NEIGHBOURS):
        rows = slice(head * width, (head + 1) * width)
        cos, sin = (turns * offset).cos(), (turns * offset).sin()
        turned = torch.zeros(width, width)
        even = torch.arange(0, width, 2)
        turned[even, even], turned[even, even + 1] = cos, -sin
        turned[even + 1, even], turned[even + 1, even + 1] = sin, cos
        attention.query.weight[rows, :width] = turned
        attention.key.weight[rows, :width] = torch.eye(width)
