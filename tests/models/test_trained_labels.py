"""Labels that a pack has learnt: fine-tuned, packed and served, it gets composed sentences right."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("nncf")

from sentiq import Sentiq

from parity.exact import exact_pack, probabilities
from tests.conftest import started_stack
from tests.models.composed import ASPECT_NAMES, NAMES, opinions, sentences
from tests.models.trained import fine_tune
from worker.packing.__main__ import main
from worker.packs.pack import load_pack

MIN_CORRECT = 0.95
IDS = ("neutral", "positive", "negative")


def write_labelled(path: Path, examples: Sequence[tuple[str, int]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((text, IDS[number]) for text, number in examples)])
    return path


@pytest.mark.timeout(600)
def test_three_labels_are_learnt_packed_and_served(tmp_path: Path) -> None:
    learnt, held_out = sentences()
    started = time.process_time()
    source = fine_tune(tmp_path / "three", NAMES, learnt, epochs=5)
    assert time.process_time() - started < 240, "two minutes on two cores"
    labelled = write_labelled(tmp_path / "labelled.csv", held_out)
    make = ["make", "--source", str(source), "--out", str(tmp_path / "pack"), "--reference", "none"]
    assert main([*make, "--labelled", str(labelled)]) == 0
    pack = load_pack(tmp_path / "pack")
    assert pack.labels.ids == IDS, "the order of the source"
    assert pack.measured["dev_accuracy"] >= MIN_CORRECT
    assert pack.measured["dev_macro_f1"] >= MIN_CORRECT

    texts = [text for text, _ in held_out]
    with started_stack(tmp_path, SENTIMENT_PACK=str(pack.directory)) as stack, Sentiq(stack.url) as client:
        job = client.submit(texts).wait(timeout=30)
        assert job.status == "succeeded"
        results = list(job.raw_results())
    right = [item["label"] == IDS[number] for item, (_, number) in zip(results, held_out, strict=True)]
    assert sum(right) >= MIN_CORRECT * len(held_out)
    for item in results:
        assert tuple(item["probabilities"]) == IDS
        assert item["confidence"] == max(item["probabilities"].values())
        shares = item["probabilities"]
        assert item["score"] == pytest.approx(shares["positive"] - shares["negative"], abs=2e-6)


@pytest.mark.timeout(600)
def test_twenty_pairs_a_label_are_learnt_in_the_order_of_aspect_and_text(tmp_path: Path) -> None:
    learnt = opinions(20)
    pack = exact_pack(fine_tune(tmp_path / "pairs", ASPECT_NAMES, learnt, epochs=130), tmp_path / "pack")
    assert pack.input == "pair"
    assert pack.labels.ids == ("positive", "not_mentioned", "negative")
    numbers = [number for _, number in learnt]

    def correct(pairs: Sequence[tuple[str, str]]) -> float:
        given = probabilities(pack, "openvino", pairs, 1).argmax(axis=1)
        return float(np.mean(given == np.array(numbers)))

    pairs = [pair for pair, _ in learnt]
    assert correct(pairs) >= MIN_CORRECT
    assert correct([(text, aspect) for aspect, text in pairs]) < 0.8, "the order matters"
