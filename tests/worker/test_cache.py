"""The cache returns the same logits as the engine and computes each row once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.vocabulary.options import OnLongText, Options
from tasks.vocabulary.verdicts import Verdict
from worker.engines.factory import build_engine
from worker.packs.pack import load_pack
from worker.scoring.cache import LogitCache
from worker.scoring.classifier import Classifier
from worker.scoring.question import Question

PACK = load_pack(Path(__file__).parents[2] / "models" / "embedded")
TEXTS = ["质量很好，物流也快", "太差了，再也不买", "还行吧", "质量很好，物流也快。可是客服不理人。"]


class Scorer:
    """Returns the length of each row and its double as its logits, and records the rows of each call."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __call__(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        self.calls.append([len(row) for row in rows])
        return np.array([[len(row), 2.0 * len(row)] for row in rows]).reshape(-1, 2)


def row(length: int) -> tuple[int, ...]:
    return tuple(range(length))


def test_a_row_is_scored_once() -> None:
    cache, scorer = LogitCache(10), Scorer()
    logits, known = cache.logits([row(1), row(2)], scorer)
    assert (logits[:, 0].tolist(), known.tolist()) == ([1, 2], [False, False])
    logits, known = cache.logits([row(2), row(3), row(1)], scorer)
    assert (logits[:, 0].tolist(), known.tolist()) == ([2, 3, 1], [True, False, True])
    assert (logits[:, 1] == 2 * logits[:, 0]).all()
    assert scorer.calls == [[1, 2], [3]]


def test_the_least_recently_used_row_is_evicted() -> None:
    cache, scorer = LogitCache(2), Scorer()
    for rows in ([row(1), row(2)], [row(1)], [row(3)]):
        cache.logits(rows, scorer)
    assert cache.logits([row(1), row(2), row(3)], scorer)[1].tolist() == [True, False, True]


def test_more_rows_than_the_cache_holds_are_all_scored() -> None:
    logits, known = LogitCache(1).logits([row(3), row(1), row(2)], Scorer())
    assert (logits[:, 0].tolist(), known.tolist()) == ([3, 1, 2], [False] * 3)


def test_a_cache_of_size_zero_scores_every_row() -> None:
    cache, scorer = LogitCache(0), Scorer()
    assert not any(cache.logits([row(1)], scorer)[1].any() for _ in range(2))
    assert scorer.calls == [[1], [1]]


def test_a_failed_pass_caches_nothing() -> None:
    cache, scorer = LogitCache(10), Scorer()

    def fail(_: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cache.logits([row(1)], fail)
    assert not cache.logits([row(1)], scorer)[1].any()


def verdicts(classifier: Classifier, questions: Sequence[Question]) -> list[Verdict]:
    return [each for each in classifier.answer(questions) if isinstance(each, Verdict)]


def test_cached_verdicts_equal_computed_ones() -> None:
    options = Options(on_long_text=OnLongText.WINDOW, sentences=True, explain=True)
    questions = [Question(text, options) for text in [*TEXTS, "好" * 600]]
    engine = build_engine(PACK, "openvino", device="cpu", threads=1)
    caching = Classifier(PACK, engine, batch_tokens=512, cache_rows=1000)
    computed = verdicts(Classifier(PACK, engine, batch_tokens=512), questions)
    assert verdicts(caching, questions) == computed
    again = verdicts(caching, questions)
    assert [(each.kept[1], each.sentences, each.highlights) for each in again] == [
        (each.kept[1], each.sentences, each.highlights) for each in computed
    ]
    assert [each.cached for each in again] == [True] * len(questions)
    assert not any(each.cached for each in computed)


def test_a_verdict_is_cached_only_if_all_of_its_rows_are() -> None:
    engine = build_engine(PACK, "openvino", device="cpu", threads=1)
    caching = Classifier(PACK, engine, batch_tokens=512, cache_rows=1000)
    text = "质量很好。客服不理人。"
    caching.classify([text])
    (with_sentences,) = verdicts(caching, [Question(text, Options(sentences=True))])
    (plain,) = caching.classify([text])
    assert (with_sentences.cached, plain.cached) == (False, True)
