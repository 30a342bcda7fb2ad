"""A classifier of a pack with any labels: probabilities, highlights, caches and known logits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from local.processes import ROOT
from tasks.vocabulary.labels import NEGATIVE_POSITIVE, LabelSet
from tasks.vocabulary.options import OnLongText, Options
from tasks.vocabulary.verdicts import Verdict
from tests.verdicts import EMOTIONS, THREE, TWELVE
from worker.engines.engine import Tokens
from worker.packs.pack import load_pack
from worker.process.fork_state import KnownLogits
from worker.scoring.classifier import Classifier
from worker.scoring.question import Question

EMBEDDED = load_pack(ROOT / "models" / "embedded")
VOCABULARY = EMBEDDED.path("vocab.txt").read_text("utf-8").split("\n")
# How much a character adds to the logit of each label of THREE: positive, neutral, negative.
PULLS = {"好": (3.0, 0.0, 0.0), "贵": (0.0, 0.0, 2.0), "还": (0.0, 1.0, 0.0)}


class Adding:
    """An engine whose logits are sums over the tokens of a row."""

    def __init__(self, pulls: Mapping[str, tuple[float, ...]], labels: int) -> None:
        self.table = np.zeros((len(VOCABULARY), labels), np.float32)
        for word, pull in pulls.items():
            self.table[VOCABULARY.index(word), :3] = pull[:labels]

    def logits(self, ids: Tokens, mask: Tokens, _segments: Tokens | None = None) -> NDArray[np.float32]:
        return np.asarray((self.table[ids] * mask[:, :, None]).sum(1), np.float32)


def classifier(labels: LabelSet, cache_rows: int = 0, **fields: Any) -> Classifier:
    pack = replace(EMBEDDED, labels=labels, **{"temperature": 1.0, "uncertain_below": 0.5} | fields)
    return Classifier(pack, Adding(PULLS, len(labels)), batch_tokens=1024, cache_rows=cache_rows)


def answer(scorer: Classifier, text: str, options: Options) -> Verdict:
    (outcome,) = scorer.answer([Question(text, options)])
    assert isinstance(outcome, Verdict)
    return outcome


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_probabilities_are_the_softmax_of_the_logits_by_the_temperature(temperature: float) -> None:
    verdict = answer(classifier(THREE, temperature=temperature), "好，贵", Options())
    odds = [math.exp(logit / temperature) for logit in (3, 0, 2)]
    assert list((verdict.probabilities or {}).values()) == pytest.approx([each / sum(odds) for each in odds])
    assert verdict.label == "positive"
    assert sum(verdict.kept.values()) == pytest.approx(1)


def test_a_verdict_is_uncertain_below_the_bound_of_the_pack() -> None:
    assert answer(classifier(THREE), "贵还", Options()).uncertain is False
    assert answer(classifier(THREE), "贵还还", Options()).uncertain is True


def test_windows_average_the_logits_of_each_label() -> None:
    text = "好" * 10 + "贵" * 10 + "还" * 10
    scorer = classifier(THREE, max_tokens=12)
    verdict = answer(scorer, text, Options(OnLongText.WINDOW))
    assert verdict.kept.keys() == {0, 1, 2}
    assert not verdict.truncated
    assert verdict.label == "positive"


def weights(labels: LabelSet, text: str) -> list[float]:
    return [each.weight for each in answer(classifier(labels), text, Options(explain=True)).highlights or []]


def test_clauses_pull_towards_positive_where_every_label_has_a_polarity() -> None:
    assert weights(THREE, "好，贵，还") == pytest.approx([0.6, -0.4, 0.0])
    assert weights(THREE, "贵") == [-1.0]
    assert weights(THREE, "好") == [1.0]


def test_clauses_pull_towards_the_label_where_some_have_no_polarity() -> None:
    pulls = weights(EMOTIONS, "好，贵，还")
    assert pulls[0] > 0 > max(pulls[1:])
    assert sum(map(abs, pulls)) == pytest.approx(1)
    assert weights(EMOTIONS, "贵") == [1.0]


def test_two_labels_in_any_order_pull_towards_positive() -> None:
    turned = LabelSet(NEGATIVE_POSITIVE.labels[::-1])
    assert weights(turned, "好，还") == pytest.approx([0.75, -0.25])


@pytest.mark.parametrize("labels", [NEGATIVE_POSITIVE, THREE, EMOTIONS, TWELVE])
def test_cached_logits_are_those_that_were_computed(labels: LabelSet) -> None:
    scorer = classifier(labels, cache_rows=10)
    texts = ["好，贵", "还", "贵"]
    computed, cached = scorer.classify(texts), scorer.classify(texts)
    assert [verdict.kept for verdict in cached] == [verdict.kept for verdict in computed]
    assert {verdict.cached for verdict in cached} == {True}


def test_known_logits_of_every_label_are_compared() -> None:
    for labels in (NEGATIVE_POSITIVE, TWELVE):
        known, logits = KnownLogits(), classifier(labels).known_logits()
        assert len(logits) == 2 * len(labels)
        assert known.agree(logits)
        assert known.agree(logits)
        assert not known.agree([*logits[:-1], logits[-1] + 0.1])
