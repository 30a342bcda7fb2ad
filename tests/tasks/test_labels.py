"""Labels and verdicts of packs with any labels."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.errors import LabelsChangedError, LabelsUnknownError
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.codec import decode_results, encode_results
from tasks.vocabulary.items import Item
from tasks.vocabulary.labels import NEGATIVE_POSITIVE, Label, LabelSet
from tasks.vocabulary.options import Options, Probabilities
from tasks.vocabulary.verdicts import Verdict
from tests.verdicts import EMOTIONS, THREE, TWELVE, of, rated

ALL, TOP3, NONE = Probabilities
# The probabilities of TWELVE: stars 1 to 11, then negative.
SPREAD = (0.05, 0.3, 0.01, 0.01, 0.2, 0.25, 0.01, 0.01, 0.01, 0.05, 0.05, 0.05)


def stored(verdict: Verdict, asked: Probabilities | None = None) -> tuple[Verdict, bytes]:
    """Return a verdict as results return it, with the bytes of its results."""
    chunk = Chunk("job_x", 0, [Item.accept("好", 9)], Options(probabilities=asked))
    payload = encode_results(ChunkResult(chunk, [verdict], 1, "x@1"))
    (item,) = decode_results(0, payload, lambda _: verdict.labels)
    assert isinstance(item.outcome, Verdict)
    return item.outcome, payload


def test_a_verdict_is_in_the_order_of_its_labels_not_negative_first() -> None:
    verdict = of(THREE, 0.2, 0.1, 0.7)
    assert (verdict.label, verdict.label_zh, verdict.confidence) == ("negative", "差评", 0.7)
    assert (verdict.positive_prob, verdict.negative_prob) == (0.2, 0.7)
    assert verdict.score == pytest.approx(-0.5)
    assert verdict.probabilities == {"positive": 0.2, "neutral": 0.1, "negative": 0.7}


def test_labels_without_a_polarity_give_no_score_and_none_of_the_two_probabilities() -> None:
    verdict = of(EMOTIONS, *[0.1] * 6, 0.4)
    assert (verdict.label, verdict.score) == ("surprise", None)
    assert (verdict.positive_prob, verdict.negative_prob) == (None, None)


def test_of_equal_probabilities_the_last_is_the_label() -> None:
    assert rated(0.5, 1, 1).label == "positive"
    assert of(THREE, 0.4, 0.4, 0.2).label == "neutral"


@pytest.mark.parametrize("labels", [NEGATIVE_POSITIVE, THREE, EMOTIONS])
def test_up_to_eight_labels_all_probabilities_are_stored_as_numbers_alone(labels: LabelSet) -> None:
    shares = [number / sum(range(1, len(labels) + 1)) for number in range(1, len(labels) + 1)]
    verdict, payload = stored(of(labels, *shares))
    assert list(verdict.probabilities or {}) == list(labels.ids)
    assert list((verdict.probabilities or {}).values()) == pytest.approx(shares, abs=1e-6)
    assert verdict.shows is ALL
    assert not any(label.encode() in payload for label in labels.ids)


def test_two_labels_are_one_number() -> None:
    assert b'"items":[[1,0.25,9,0]]' in stored(rated(0.25, 9, 9))[1]
    assert b'"items":[[1,0.25,9,0]]' in stored(rated(0.25, 9, 9), TOP3)[1]


def test_of_more_than_eight_labels_the_three_highest_are_named() -> None:
    verdict, _ = stored(of(TWELVE, *SPREAD))
    assert verdict.probabilities == {"star_2": 0.3, "star_5": 0.2, "star_6": 0.25}
    assert (verdict.label, verdict.confidence, verdict.score) == ("star_2", 0.3, -0.05)
    assert (verdict.positive_prob, verdict.negative_prob) == (None, 0.05)
    assert stored(of(TWELVE, *SPREAD), ALL)[0] == of(TWELVE, *SPREAD)


@pytest.mark.parametrize("labels", [NEGATIVE_POSITIVE, THREE, TWELVE])
def test_none_keeps_label_confidence_and_score(labels: LabelSet) -> None:
    given = of(labels, *(SPREAD if labels is TWELVE else (0.75, 0.25, 0.0)[: len(labels)]))
    verdict, payload = stored(given, NONE)
    assert verdict.probabilities is None
    for name in ("label", "confidence", "score", "positive_prob", "negative_prob"):
        assert getattr(verdict, name) == getattr(given, name)
    assert len(payload) < len(stored(given, ALL)[1]) or len(labels) < len(TWELVE)


@pytest.mark.parametrize("labels", [NEGATIVE_POSITIVE, THREE, EMOTIONS, TWELVE])
def test_labels_read_as_they_were_written(labels: LabelSet) -> None:
    assert LabelSet.decode(labels.encode()) == labels


GOOD = {"id": "a", "label_zh": "甲", "label_en": "A"}


@pytest.mark.parametrize(
    ("described", "cause"),
    [
        ([GOOD], "1 labels, expected 2 to 64"),
        ([GOOD | {"id": f"a{number}"} for number in range(65)], "65 labels, expected 2 to 64"),
        ([GOOD, GOOD], "same id"),
        ([GOOD, GOOD | {"id": "A"}], "1 to 32 of a-z"),
        ([GOOD, GOOD | {"id": "b" * 33}], "1 to 32 of a-z"),
        ([GOOD, GOOD | {"id": 7}], "1 to 32 of a-z"),
        ([GOOD, GOOD | {"id": "b", "label_en": "x" * 65}], "label_en of label b is .* 1 to 64"),
        ([GOOD, GOOD | {"id": "b", "label_zh": "甲\n"}], "label_zh of label b"),
        ([GOOD, GOOD | {"id": "b", "polarity": True}], "polarity of label b is True"),
        ([GOOD, GOOD | {"id": "b", "polarity": -2}], "polarity of label b is -2"),
        ([GOOD, GOOD | {"id": "b", "emoji": ""}], "emoji of label b"),
        ([GOOD, {"id": "b"}], "label 'b': .*label_zh"),
        ([GOOD, "b"], "not an object"),
        ({"a": GOOD}, "not a list"),
    ],
)
def test_a_malformed_label_is_refused_with_the_field_and_its_limit(described: Any, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        LabelSet.read(described)


def test_an_emoji_of_several_characters_is_one() -> None:
    family = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"
    assert Label("a", "甲", "A", emoji=family).face == family
    assert Label("negative", "差评", "Bad").face == "😠"
    assert Label("a", "甲", "A").face == "😐"


def test_the_store_keeps_the_labels_of_a_model_and_never_changes_them(store: JobStore) -> None:
    store.labels.record("x@1", THREE)
    store.labels.record("x@1", THREE)
    assert JobStore(store.redis, store.settings).labels.of("x@1") == THREE
    with pytest.raises(LabelsChangedError, match="x@1 had other labels"):
        store.labels.record("x@1", EMOTIONS)
    assert store.labels.of("x@1") == THREE


def test_results_of_a_model_without_labels_wait_until_a_worker_records_them(store: JobStore) -> None:
    with pytest.raises(LabelsUnknownError, match="x@1 are not recorded"):
        store.labels.of("x@1")
    store.labels.record("x@1", THREE)
    assert store.labels.of("x@1") == THREE
