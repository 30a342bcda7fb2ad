"""What was scored lately is not scored again, and comes back as it was."""

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
    """Gives a row its length, and tells which rows it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        self.asked.append([len(row) for row in rows])
        return np.array([float(len(row)) for row in rows])


def row(length: int) -> tuple[int, ...]:
    return tuple(range(length))


def test_a_row_is_scored_once() -> None:
    cache, scorer = LogitCache(10), Scorer()
    logits, known = cache.logits([row(1), row(2)], scorer)
    assert (logits.tolist(), known.tolist()) == ([1, 2], [False, False])
    logits, known = cache.logits([row(2), row(3), row(1)], scorer)
    assert (logits.tolist(), known.tolist()) == ([2, 3, 1], [True, False, True])
    assert scorer.asked == [[1, 2], [3]]


def test_the_row_that_was_asked_for_longest_ago_leaves_first() -> None:
    cache, scorer = LogitCache(2), Scorer()
    for rows in ([row(1), row(2)], [row(1)], [row(3)]):
        cache.logits(rows, scorer)
    assert cache.logits([row(1), row(2), row(3)], scorer)[1].tolist() == [True, False, True]


def test_more_rows_than_there_is_room_for_are_all_scored() -> None:
    logits, known = LogitCache(1).logits([row(3), row(1), row(2)], Scorer())
    assert (logits.tolist(), known.tolist()) == ([3, 1, 2], [False] * 3)


def test_without_room_every_row_is_scored() -> None:
    cache, scorer = LogitCache(0), Scorer()
    assert not any(cache.logits([row(1)], scorer)[1].any() for _ in range(2))
    assert scorer.asked == [[1], [1]]


def test_a_pass_that_fails_leaves_nothing_behind() -> None:
    cache, scorer = LogitCache(10), Scorer()

    def fail(_: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cache.logits([row(1)], fail)
    assert not cache.logits([row(1)], scorer)[1].any()


def verdicts(classifier: Classifier, questions: Sequence[Question]) -> list[Verdict]:
    return [each for each in classifier.answer(questions) if isinstance(each, Verdict)]


def test_remembered_verdicts_are_those_that_are_computed() -> None:
    options = Options(on_long_text=OnLongText.WINDOW, sentences=True, explain=True)
    questions = [Question(text, options) for text in [*TEXTS, "好" * 600]]
    engine = build_engine(PACK, "openvino", device="cpu", threads=1)
    remembering = Classifier(PACK, engine, batch_tokens=512, cache_rows=1000)
    computed = verdicts(Classifier(PACK, engine, batch_tokens=512), questions)
    assert verdicts(remembering, questions) == computed
    again = verdicts(remembering, questions)
    assert [(each.positive_prob, each.sentences, each.highlights) for each in again] == [
        (each.positive_prob, each.sentences, each.highlights) for each in computed
    ]
    assert [each.cached for each in again] == [True] * len(questions)
    assert not any(each.cached for each in computed)


def test_a_text_is_cached_only_if_all_that_is_asked_of_it_is_known() -> None:
    engine = build_engine(PACK, "openvino", device="cpu", threads=1)
    remembering = Classifier(PACK, engine, batch_tokens=512, cache_rows=1000)
    text = "质量很好。客服不理人。"
    remembering.classify([text])
    (with_sentences,) = verdicts(remembering, [Question(text, Options(sentences=True))])
    (plain,) = remembering.classify([text])
    assert (with_sentences.cached, plain.cached) == (False, True)
