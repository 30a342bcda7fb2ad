"""The n-gram head of a checkpoint: trained, scaled beside an encoder, packed and measured."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("nncf")
pytest.importorskip("sklearn")

from tests.models.sources import PIECES, TEXTS, write_source
from training.ngrams import scaled, train_head
from worker.evaluate.labelled import read_labelled
from worker.packing.card import card
from worker.packing.make import Recipe, make_pack
from worker.packing.verify import check_graph
from worker.packs.ngrams import NgramHead, write_ngrams
from worker.packs.pack import NGRAMS_FILE, load_pack
from worker.scoring.batches import Row

CLS, SEP = 2, 3
FIRST = 5  # the first id that is no special token


def rows_of(labels: int, count: int = 600) -> tuple[list[Row], list[int]]:
    """Return random rows in which the order of two tokens is the label; all have the same tokens."""
    draw = random.Random(1)
    rows: list[Row] = []
    numbers = []
    for number in range(count):
        label = number % labels
        noise = [draw.randrange(FIRST + 10, FIRST + 20) for _ in range(6)]
        marks = [(FIRST, FIRST + 1, FIRST + 2), (FIRST + 1, FIRST, FIRST + 2), (FIRST + 2, FIRST + 1, FIRST)]
        rows.append([CLS, *noise[:3], *marks[label], *noise[3:], SEP])
        numbers.append(label)
    return rows, numbers


def logits_of(head: NgramHead, rows: list[Row]) -> np.ndarray:
    ids = np.array(rows)
    return head.logits(ids, np.ones_like(ids)).astype(np.float64)


@pytest.mark.parametrize("labels", [2, 3])
def test_a_head_learns_what_only_the_order_of_tokens_says(labels: int) -> None:
    rows, numbers = rows_of(labels)
    head = train_head(rows[:400], numbers[:400], labels)
    assert (logits_of(head, rows[400:]).argmax(axis=1) == numbers[400:]).all()
    assert len(train_head(rows[:400], numbers[:400], labels, ngrams=30).keys) == 30


def test_training_has_one_result() -> None:
    first, second = (train_head(*rows_of(2), 2) for _ in range(2))
    assert all(np.array_equal(vars(first)[name], vars(second)[name]) for name in vars(first))


def test_the_scale_is_what_helps_the_encoder() -> None:
    rows, numbers = rows_of(2)
    head = train_head(rows[:400], numbers[:400], 2)
    truth = np.eye(2)[numbers[400:]]
    ngrams = logits_of(head, rows[400:])
    draw = np.random.default_rng(1)
    blind, sure = draw.normal(0, 0.1, truth.shape), 20 * truth + draw.normal(0, 0.1, truth.shape)
    noise = draw.normal(0, 1, truth.shape)
    helps = scaled(head, blind, ngrams, numbers[400:])
    hardly = scaled(head, sure, noise, numbers[400:])
    assert helps.scale[0] > 2 * hardly.scale[0]
    for logits, other, scale in ((blind, ngrams, helps.scale), (sure, noise, hardly.scale)):
        share = scale / head.scale
        assert ((logits + share * other).argmax(axis=1) == numbers[400:]).all()


@pytest.mark.timeout(400)
def test_a_pack_has_the_head_of_its_source(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    texts = [[PIECES.index(each) for each in text] for text in TEXTS]
    labels = [int("差" not in text) for text in TEXTS]
    head = train_head([[CLS, *text, SEP] for text in texts], labels, 2)
    labelled = tmp_path / "labelled.csv"
    rows = (f"{text},{label}\n" for text, label in zip(TEXTS, labels, strict=True))
    labelled.write_text("text,label\n" + "".join(rows), "utf-8")
    recipe = Recipe(source, tmp_path / "pack", "tiny", "1", TEXTS, read_labelled(labelled), min_agreement=0.5)
    without = make_pack(recipe)
    assert NGRAMS_FILE not in without.files
    assert without.measured["dev_accuracy"] < 1

    write_ngrams(replace(head, scale=head.scale * 20), source / NGRAMS_FILE)
    made = make_pack(recipe)
    assert load_pack(made.directory) == made
    assert made.measured["dev_accuracy"] == made.measured["dev_accuracy_fp32"] == 1
    assert made.measured["batch_invariant"] is True
    assert NGRAMS_FILE in card(made)
    assert any(line.startswith("agrees with the reference") for line in check_graph(made, TEXTS, 0.5))

    (source / NGRAMS_FILE).unlink()
    assert NGRAMS_FILE not in make_pack(recipe).files
    assert not (recipe.out / NGRAMS_FILE).exists()
