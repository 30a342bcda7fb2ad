"""Packs of 2, 3 and 7 labels, and of pairs, in every shape: both engines agree, and each row stands alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("nncf")

from parity.checkpoints import BASE, LARGE, TINY, Layout, random_checkpoint
from parity.exact import exact_pack, probabilities
from samples.shipped import read_calibration
from worker.engines.bert import BertShape
from worker.engines.engine import InferenceError
from worker.engines.factory import build_engine
from worker.packing.comparison import batch_invariant, load_batches, measure_drift, predicted
from worker.packing.inputs import as_inputs, encode
from worker.packing.make import Recipe, make_pack
from worker.packing.verify import check_graph
from worker.packs.pack import Input, load_pack

SEED = 7
LINES = read_calibration()
# Random weights magnify the rounding of int8: seven labels agreed on 61 % of the texts.
MIN_AGREEMENT = 0.4
# Of the width and heads of a tiny StructBERT, with half its layers and a small vocabulary: made in seconds.
SMALL = replace(TINY, layers=2, vocabulary=6000, positions=128)


def write(folder: Path, shape: BertShape, labels: int, reads: Input = "text") -> Path:
    layout = Layout(pairs=reads == "pair", safetensors=True)
    return random_checkpoint(folder / "source", replace(shape, labels=labels), layout, SEED)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("labels", "reads"), [(2, "text"), (3, "text"), (7, "text"), (3, "pair")])
def test_a_pack_of_any_labels_is_made_and_verified(tmp_path: Path, labels: int, reads: Input) -> None:
    source = write(tmp_path, SMALL, labels, reads)
    made = make_pack(Recipe(source, tmp_path / "pack", "any", "1", LINES[:120], min_agreement=MIN_AGREEMENT))
    pack = load_pack(made.directory)
    assert (pack.input, len(pack.labels), pack.architecture["labels"]) == (reads, labels, labels)
    assert pack.precision == "int8", pack.reason
    assert pack.measured["batch_invariant"] is True
    agreement, invariance = check_graph(pack, LINES[:120], MIN_AGREEMENT)
    assert agreement.startswith("agrees with the reference on ")
    assert invariance.startswith("batch-invariant")

    texts = as_inputs(LINES, reads)
    exact, served = (probabilities(pack, engine, texts, 1) for engine in ("torch", "openvino"))
    assert exact.shape == served.shape == (len(LINES), labels)
    assert np.abs(exact.sum(axis=1) - 1).max() < 1e-6
    assert len(set(exact.argmax(axis=1).tolist())) == labels, "every label is given"
    assert not np.array_equal(exact, served), "one is fp32, the other int8"
    assert np.mean(exact.argmax(axis=1) == served.argmax(axis=1)) >= MIN_AGREEMENT


@pytest.mark.timeout(400)
def test_int8_that_agrees_too_little_is_not_served_for_seven_labels(tmp_path: Path) -> None:
    source = write(tmp_path, SMALL, 7)
    made = make_pack(Recipe(source, tmp_path / "pack", "any", "1", LINES[:40], min_agreement=1.01))
    assert made.precision == "fp32"
    assert made.reason.startswith("int8 agrees with fp32 on only ")
    exact, served = (probabilities(made, engine, LINES, 1) for engine in ("torch", "openvino"))
    assert np.abs(exact - served).max() < 1e-5


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("shape", "labels", "reads"), [(BASE, 7, "text"), (LARGE, 3, "pair")], ids=["base", "large"]
)
def test_large_shapes_give_the_same_logits_alone_and_in_batches(
    tmp_path: Path, shape: BertShape, labels: int, reads: Input
) -> None:
    # The size of the vocabulary changes the table of embeddings only.
    source = write(tmp_path, replace(shape, vocabulary=6000), labels, reads)
    pack = exact_pack(source, tmp_path / "pack")
    rows = encode(as_inputs(LINES[:8], reads), pack.path("vocab.txt"), pack.max_tokens)
    graph, reference = (load_batches(pack, rows[0][-1], engine) for engine in ("openvino", "torch"))
    drift = measure_drift(reference.logits(rows), graph.logits(rows))
    assert drift.max < 1e-5
    assert drift.agreement == 1
    # In fp32 the terms of a wide product may be summed in another order on processors without AVX-512.
    measured = replace(pack, measured={"batch_invariant": batch_invariant(graph, rows)})
    assert batch_invariant(load_batches(measured, rows[0][-1]), rows)


@pytest.mark.timeout(400)
def test_pairs_depend_on_their_segments_and_their_order(tmp_path: Path) -> None:
    pack = exact_pack(write(tmp_path, SMALL, 3, "pair"), tmp_path / "pack")
    pairs = as_inputs(LINES[:50], "pair")
    turned = [(pair[1], pair[0]) for pair in pairs]
    one, other = (probabilities(pack, "openvino", each, 1) for each in (pairs, turned))
    assert np.abs(one - other).max() > 0.01

    (row,) = encode(pairs[:1], pack.path("vocab.txt"), pack.max_tokens)
    ids = np.array([row])
    for name in ("openvino", "torch"):
        engine = build_engine(pack, name, device="cpu", threads=1)
        zeros = engine.logits(ids, np.ones_like(ids), np.zeros_like(ids))
        ones = engine.logits(ids, np.ones_like(ids), np.ones_like(ids))
        assert np.abs(zeros - ones).max() > 0.01
        for segments in (None, zeros_of(ids, 1), np.full_like(ids, 2)):
            with pytest.raises(InferenceError, match="segment"):
                engine.logits(ids, np.ones_like(ids), segments)
    assert len(set(predicted(np.log(one)).tolist())) > 1


def zeros_of(ids: np.ndarray, more: int) -> np.ndarray:
    """Return segments for longer rows than those of `ids`."""
    return np.zeros((len(ids), ids.shape[1] + more), np.int64)
