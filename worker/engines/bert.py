"""BERT for sequence classification, under the parameter names that StructBERT and BERT checkpoints use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class BertShape:
    """The hyperparameters of a BERT encoder and its classification head."""

    vocabulary: int
    positions: int
    width: int
    layers: int
    heads: int
    intermediate: int
    labels: int = 2
    token_types: int = 2
    norm_epsilon: float = 1e-12

    @classmethod
    def from_architecture(cls, numbers: Mapping[str, float]) -> BertShape:
        """Return the shape recorded under `architecture` in a pack's `pack.json`."""
        return cls(**numbers)  # type: ignore[arg-type]  # JSON numbers, checked by load_pack


class Embeddings(nn.Module):
    """Embeds token ids (n, length) as vectors (n, length, width)."""

    def __init__(self, shape: BertShape, dropout: float) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(shape.vocabulary, shape.width)
        self.position_embeddings = nn.Embedding(shape.positions, shape.width)
        self.token_type_embeddings = nn.Embedding(shape.token_types, shape.width)
        self.LayerNorm = nn.LayerNorm(shape.width, eps=shape.norm_epsilon)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor, segments: Tensor | None) -> Tensor:
        """Return the embeddings (n, length, width) of ids and segments, both (n, length).

        Without segments every token is in segment 0.
        """
        types = self.token_type_embeddings
        segment = types.weight[0] if segments is None else types(segments)
        positions = self.position_embeddings.weight[: ids.shape[1]]
        summed = self.word_embeddings(ids) + positions + segment
        normed: Tensor = self.dropout(self.LayerNorm(summed))
        return normed


def _explicit_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Return what torch's fused attention computes.

    Used in training only: on a CPU, the backward pass of the fused one takes a quarter of a training step.
    """
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2) + bias
    return scores.softmax(-1).to(value.dtype) @ value


class SelfAttention(nn.Module):
    """Multi-head attention; `bias` (n, 1, 1, length) is added to the scores and hides padding."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.width, shape.width)
        self.key = nn.Linear(shape.width, shape.width)
        self.value = nn.Linear(shape.width, shape.width)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Return the mixed hidden states (n, length, width)."""
        query, key, value = (self._split(part(hidden)) for part in (self.query, self.key, self.value))
        mix = _explicit_attention if self.training else functional.scaled_dot_product_attention
        return mix(query, key, value, bias).transpose(1, 2).flatten(2)

    def _split(self, projected: Tensor) -> Tensor:
        split: Tensor = projected.unflatten(2, (self.heads, -1)).transpose(1, 2)
        return split


class Residual(nn.Module):
    """A dense layer, then the residual connection and the layer norm."""

    def __init__(self, inputs: int, shape: BertShape, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, shape.width)
        self.LayerNorm = nn.LayerNorm(shape.width, eps=shape.norm_epsilon)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inner: Tensor, residual: Tensor) -> Tensor:
        """Project `inner` (n, length, inputs) to the width of `residual` and add both."""
        normed: Tensor = self.LayerNorm(self.dropout(self.dense(inner)) + residual)
        return normed


class Layer(nn.Module):
    """One encoder layer: attention and feed-forward, each with a residual connection."""

    def __init__(self, shape: BertShape, dropout: float) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {"self": SelfAttention(shape), "output": Residual(shape.width, shape, dropout)}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(shape.width, shape.intermediate)})
        self.output = Residual(shape.intermediate, shape, dropout)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Return the hidden states (n, length, width) after this layer."""
        attended = self.attention["output"](self.attention["self"](hidden, bias), hidden)
        widened = functional.gelu(self.intermediate["dense"](attended))
        out: Tensor = self.output(widened, attended)
        return out


class Encoder(nn.Module):
    """Embeddings, layers and pooler: the part of a checkpoint under `bert.`."""

    def __init__(self, shape: BertShape, dropout: float) -> None:
        super().__init__()
        layers = nn.ModuleList(Layer(shape, dropout) for _ in range(shape.layers))
        self.embeddings = Embeddings(shape, dropout)
        self.encoder = nn.ModuleDict({"layer": layers})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(shape.width, shape.width)})

    def forward(self, ids: Tensor, mask: Tensor, segments: Tensor | None = None) -> Tensor:
        """Return the last hidden state (n, length, width) of ids, mask and segments, all (n, length)."""
        hidden: Tensor = self.embeddings(ids, segments)
        bias = (1.0 - mask[:, None, None, :].to(hidden.dtype)) * torch.finfo(hidden.dtype).min
        for layer in self.encoder["layer"]:  # type: ignore[attr-defined]  # a ModuleList is iterable
            hidden = layer(hidden, bias)
        return hidden


class BertClassifier(nn.Module):
    """Classifies ids and mask, and for pairs segments, all int64 (n, length)."""

    def __init__(self, shape: BertShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.bert = Encoder(shape, dropout)
        self.classifier = nn.Linear(shape.width, shape.labels)

    def forward(self, ids: Tensor, mask: Tensor, segments: Tensor | None = None) -> Tensor:
        """Return the logits (n, labels)."""
        return self.classify(self.bert(ids, mask, segments))

    def classify(self, hidden: Tensor) -> Tensor:
        """Return the logits (n, labels) from the encoder's last hidden state (n, length, width)."""
        logits: Tensor = self.classifier(torch.tanh(self.bert.pooler["dense"](hidden[:, 0])))
        return logits
