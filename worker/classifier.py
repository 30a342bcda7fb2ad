"""Texts to verdicts: tokenise, batch by length, run the engine."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tasks.jobs import Verdict
from worker.engines.engine import Engine
from worker.packs import Pack
from worker.tokenizer import load_tokenizer

# Every tensor is (a row step, a length step): engines keep memory for each shape they meet, so these are few.
LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
NEARLY_FULL = 0.75


@dataclass(frozen=True, slots=True)
class Tokens:
    """The token ids of the text at `index`, cut to what the pack reads."""

    index: int
    ids: list[int]
    truncated: bool


class Classifier:
    """Scores texts with one engine. A text's verdict is the same, bit for bit, alone and in any batch."""

    def __init__(self, pack: Pack, engine: Engine, *, batch_tokens: int) -> None:
        """`batch_tokens` bounds rows x length of a forward; a longer text makes one by itself."""
        self._engine = engine
        self._max_tokens = pack.max_tokens
        self._temperature = pack.temperature
        self._batch_tokens = batch_tokens
        self._lengths = (*(length for length in LENGTHS if length < pack.max_tokens), pack.max_tokens)
        self._tokenizer = load_tokenizer(pack.path("vocab.txt"))

    def classify(
        self, texts: Sequence[str], *, between_batches: Callable[[], None] | None = None
    ) -> list[Verdict]:
        """One verdict a text, in order. `between_batches` runs before each forward; it may raise to stop."""
        tokens = self.tokenize(texts)
        probabilities = np.empty(len(texts))
        for batch in self._batches(tokens):
            if between_batches is not None:
                between_batches()
            probabilities[[row.index for row in batch]] = self._score(batch)
        return [
            Verdict(float(probability), len(row.ids), row.truncated)
            for probability, row in zip(probabilities, tokens, strict=True)
        ]

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids of each text, special tokens included: equal ids mean equal verdicts."""
        # A lone surrogate is legal in JSON and in str, but the tokenizer refuses it.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        encodings = self._tokenizer.encode_batch_fast(clean)
        return [self._cut(index, encoding.ids) for index, encoding in enumerate(encodings)]

    def warm_up(self) -> None:
        """Run one row of every length, so that the first job does not wait for kernels to be compiled."""
        for length in self._lengths:
            self._score([Tokens(0, [0] * length, truncated=False)])

    def _cut(self, index: int, ids: list[int]) -> Tokens:
        if len(ids) <= self._max_tokens:
            return Tokens(index, ids, truncated=False)
        return Tokens(index, [*ids[: self._max_tokens - 1], ids[-1]], truncated=True)

    def _batches(self, tokens: Sequence[Tokens]) -> Iterator[Sequence[Tokens]]:
        """Rows of one length step each, within the token budget."""
        by_length = sorted(tokens, key=self._padded_length)
        for length, group in groupby(by_length, key=self._padded_length):
            rows = list(group)
            while rows:
                size = self._rows_to_take(len(rows), length)
                yield rows[:size]
                rows = rows[size:]

    def _rows_to_take(self, left: int, length: int) -> int:
        """As many as fit; of a remainder all if it nearly fills its row step, else a full smaller step."""
        most = self._most_rows(length)
        if left >= most:
            return most
        above = bisect_left(ROWS, left)
        return left if left >= ROWS[above] * NEARLY_FULL else ROWS[above - 1]

    def _padded_length(self, row: Tokens) -> int:
        return self._lengths[bisect_left(self._lengths, len(row.ids))]

    def _most_rows(self, length: int) -> int:
        return max(step for step in ROWS if step == 1 or step * length <= self._batch_tokens)

    def _score(self, batch: Sequence[Tokens]) -> NDArray[np.float64]:
        """Probability of `positive` of each row; all rows have the same padded length."""
        rows, length = ROWS[bisect_left(ROWS, len(batch))], self._padded_length(batch[0])
        ids, mask = np.zeros((2, rows, length), np.int64)
        for number, row in enumerate(batch):
            ids[number, : len(row.ids)] = row.ids
            mask[number, : len(row.ids)] = 1
        logits = self._engine.logits(ids, mask)[: len(batch)].astype(np.float64) / self._temperature
        return np.asarray(1 / (1 + np.exp(logits[:, 0] - logits[:, 1])))
