"""The written texts: each is well-formed, and none is near a text that measures what was trained on them."""

from __future__ import annotations

from collections import Counter

from local.processes import ROOT
from samples.shipped import read_plain, read_reviews
from training.near_copies import between
from worker.evaluate.labelled import read_table

TEXTS = ROOT / "training" / "texts"
COLUMNS = ["text", "label", "domain", "kind", "writer"]
NEUTRAL = {"nfact", "nquestion", "nchat"}
TEST_WRITERS = {"14", "15"}


def rows(name: str) -> list[dict[str, str]]:
    columns, lines = read_table(TEXTS / name, *COLUMNS)
    assert columns == COLUMNS
    return [row for _, row in lines]


WRITTEN, TEST = rows("written.csv"), rows("written-test.csv")
WRITTEN_TEXTS, TEST_TEXTS = ([row["text"] for row in each] for each in (WRITTEN, TEST))


def test_no_text_that_measures_is_near_one_that_is_trained_on() -> None:
    measuring = [*TEST_TEXTS, *(review.text for review in (*read_reviews(), *read_plain()))]
    assert between(WRITTEN_TEXTS, measuring) == []
    assert between(WRITTEN_TEXTS, [WRITTEN_TEXTS[7] + "！"]) == [(7, 0)], "a near copy would be found"


def test_no_text_occurs_twice() -> None:
    assert len(set(WRITTEN_TEXTS)) == len(WRITTEN_TEXTS)
    assert len(set(TEST_TEXTS)) == len(TEST_TEXTS)


def test_writers_train_or_measure() -> None:
    assert {row["writer"] for row in TEST} == TEST_WRITERS
    assert not {row["writer"] for row in WRITTEN} & TEST_WRITERS


def test_every_row_is_well_formed() -> None:
    for row in (*WRITTEN, *TEST):
        assert row["text"].strip(), row
        assert not set(row["text"]) & set("\n\r\t"), row
        assert row["label"] in ("0", "1", "n"), row
        assert (row["label"] == "n") == (row["kind"] in NEUTRAL), row


def test_both_sides_of_each_domain_and_kind_have_nearly_as_many_texts() -> None:
    for column in ("domain", "kind"):
        counts = Counter((row[column], row["label"]) for row in WRITTEN if row["label"] != "n")
        for name in {name for name, _ in counts}:
            positive, negative = counts[name, "1"], counts[name, "0"]
            assert abs(positive - negative) <= 0.1 * (positive + negative), (name, positive, negative)
