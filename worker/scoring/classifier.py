"""From texts to verdicts: tokenise, gather the rows of every question, score them in one pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from tokenizers import Encoding

from tasks.vocabulary.items import ItemError, Outcome
from tasks.vocabulary.options import OnLongText, aspect_room
from tasks.vocabulary.verdicts import TooManyTokens, Verdict
from worker.engines.engine import Engine
from worker.packs.pack import Pack
from worker.scoring.answers import Answer, Scale
from worker.scoring.aspects import AspectAnswer, too_long
from worker.scoring.batches import Batches
from worker.scoring.cache import LogitCache
from worker.scoring.familiarity import token_weights
from worker.scoring.question import Question
from worker.scoring.tokenizer import SURROGATE, UNKNOWN, load_tokenizer, mark_ids
from worker.scoring.windows import SPECIAL, Rows

# Of different label and length, so that no two forwards in a row agree by chance.
_KNOWN_TEXTS = ("质量很好，非常满意，推荐购买！", "太差了，再也不买。")

_Prepared = Answer | AspectAnswer | TooManyTokens | ItemError


class Classifier:
    """Scores texts with one engine. A text's verdict is the same, bit for bit, alone and in any batch."""

    def __init__(self, pack: Pack, engine: Engine, *, batch_tokens: int, cache_rows: int = 0) -> None:
        """Bound a forward to `batch_tokens` (rows x length); a longer text gets a forward of its own.

        `cache_rows` is the number of rows whose logits are cached; 0 turns the cache off.
        """
        self._cache = LogitCache(cache_rows)
        self._max_tokens = pack.max_tokens - SPECIAL
        self._pairs = pack.input == "pair"
        self._tokenizer = load_tokenizer(pack.path("vocab.txt"), pairs=self._pairs)
        unknown, marks = self._tokenizer.get_vocab()[UNKNOWN], mark_ids(self._tokenizer)
        weights = token_weights(pack, self._tokenizer, marks)
        self._scale = Scale(pack.labels, pack.temperature, pack.uncertain_below, unknown, marks, weights)
        self._cls, self._sep = self._tokenizer.encode("").ids
        self._batches = Batches(
            engine,
            labels=len(pack.labels),
            max_tokens=pack.max_tokens,
            batch_tokens=batch_tokens,
            separator=self._sep if self._pairs else None,
        )

    def classify(self, texts: Sequence[str], *, on_batch: Callable[[], None] | None = None) -> list[Verdict]:
        """Return the plain verdict of each text, in order; see `answer`."""
        outcomes = self.answer([Question(text) for text in texts], on_batch=on_batch)
        return [outcome for outcome in outcomes if isinstance(outcome, Verdict)]

    def answer(
        self, questions: Sequence[Question], *, on_batch: Callable[[], None] | None = None
    ) -> list[Outcome]:
        """Return the outcome of each question, in order; see `answer_until`."""
        outcomes = self.answer_until(questions, math.inf, on_batch=on_batch)
        return [outcome for outcome in outcomes if outcome is not None]

    def answer_until(
        self, questions: Sequence[Question], until: float, *, on_batch: Callable[[], None] | None = None
    ) -> list[Outcome | None]:
        """Return the outcome of each question, in order.

        No forward begins after `until`, a time of `time.monotonic`: None for what was not reached. `on_batch`
        is called before each forward; an exception from it ends the pass. Raises InferenceError or
        EngineFailedError.
        """
        rows, aspects = Rows(self._cls, self._sep), self._encode_aspects(questions)
        prepared = [
            self._prepare_aspects(question, encoding, aspects, rows)
            if question.options.aspects or self._pairs
            else self._prepare(question, encoding, rows)
            for question, encoding in zip(questions, self._encode(questions), strict=True)
        ]
        logits, known = self._cache.logits(
            rows.all(), lambda missing: self._batches.logits(missing, on_batch, until)
        )
        missed = set(np.flatnonzero(np.isnan(logits[:, 0])).tolist())

        def outcome(answer: _Prepared) -> Outcome | None:
            if isinstance(answer, TooManyTokens | ItemError):
                return answer
            return None if answer.needs(missed) else answer.verdict(logits, known, self._scale)

        return list(map(outcome, prepared))

    def tokenize(self, texts: Iterable[str], *, offsets: bool = False) -> list[Encoding]:
        """Return the token ids of each text with special tokens, and with `offsets` their code points."""
        # The tokenizer refuses lone surrogates, which str allows. BERT drops them, as it drops U+FFFD.
        clean = [SURROGATE.sub("\ufffd", text) for text in texts]
        encode = self._tokenizer.encode_batch if offsets else self._tokenizer.encode_batch_fast
        return list(encode(clean))

    def known_logits(self) -> list[float]:
        """Return the logits of two known texts, each computed in a forward of its own and not cached."""
        rows = [encoding.ids[: self._max_tokens] for encoding in self.tokenize(_KNOWN_TEXTS)]
        if self._pairs:
            # Packs that read pairs get one: a text, and [SEP] where its second half would begin.
            rows = [[*row[: len(row) // 2], self._sep, *row[len(row) // 2 :]] for row in rows]
        return [float(logit) for row in rows for logit in self._batches.logits([row])[0]]

    def warm_up(self) -> None:
        """Run one row of every length, so that the first job does not wait for kernels to be compiled."""
        self._batches.warm_up()

    def _encode(self, questions: Sequence[Question]) -> list[Encoding]:
        """Return the encoding of each question. Only detailed ones pay for offsets."""
        plain = iter(self.tokenize(each.text for each in questions if not each.options.detailed))
        detailed = iter(
            self.tokenize((each.text for each in questions if each.options.detailed), offsets=True)
        )
        return [next(detailed if each.options.detailed else plain) for each in questions]

    def _prepare(self, question: Question, encoding: Encoding, rows: Rows) -> Answer | TooManyTokens:
        tokens = encoding.ids[1:-1]
        if len(tokens) > self._max_tokens and question.options.on_long_text is OnLongText.REJECT:
            return TooManyTokens(len(encoding.ids), self._max_tokens + SPECIAL)
        offsets = encoding.offsets[1:-1] if question.options.detailed else []
        return Answer(question, tokens, offsets, rows, self._max_tokens)

    def _encode_aspects(self, questions: Sequence[Question]) -> Mapping[str, Sequence[int]]:
        """Return the tokens of each aspect without special ones, cut to the room that a row has for it."""
        asked = {aspect: None for question in questions for aspect in question.options.aspects}
        room = aspect_room(self._max_tokens + SPECIAL)
        encodings = self.tokenize(asked) if asked else []
        return {aspect: encoding.ids[1:-1][:room] for aspect, encoding in zip(asked, encodings, strict=True)}

    def _prepare_aspects(
        self, question: Question, encoding: Encoding, aspects: Mapping[str, Sequence[int]], rows: Rows
    ) -> AspectAnswer | TooManyTokens | ItemError:
        if not self._pairs:
            return ItemError.ASPECTS_UNSUPPORTED
        if not question.options.aspects:
            return ItemError.ASPECTS_REQUIRED
        tokens, max_tokens = encoding.ids[1:-1], self._max_tokens + SPECIAL
        refused = too_long(question, tokens, aspects, max_tokens)
        return refused or AspectAnswer(question, tokens, aspects, rows, max_tokens)
