"""Both embedded packs' model is trained on labelled files and written texts together."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from local.processes import ROOT
from training.joint import main
from training.written import FILE, read_written
from worker.packing.labels import read_labels
from worker.packing.source import read_source
from worker.packs.ngrams import NGRAMS_FILE

WORDS = {"0": ("难用", "差劲", "失望"), "1": ("好用", "满意", "喜欢"), "n": ("几点", "请问", "通知")}
THINGS = ("手机", "房间", "快递", "味道", "司机", "医院", "电影", "老师")


def composed(label: str, count: int) -> list[str]:
    return [f"{THINGS[n % 8]}{n}{WORDS[label][n % 3]}" for n in range(count)]


def write(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    header = ("text", "label", "domain", "kind", "writer")
    written = [
        (f"{text}，真的", label, domain, "plain", writer)
        for label in "01n"
        for text in composed(label, 24)
        for domain, writer in (("hotel", "1"), ("hotel", "5"), ("games", "1"))
    ]
    labelled = [(text, label) for label in "01" for text in composed(label, 60)]
    files = {
        "--train": write(tmp_path / "train.csv", [("text", "label"), *labelled]),
        "--dev": write(tmp_path / "dev.csv", [("text", "label"), *labelled[:9], *labelled[60:69]]),
        "--written": write(tmp_path / "written.csv", [header, *written]),
        "--start": ROOT / "models" / "checkpoint",
        "--out": tmp_path / "out",
    }
    return [str(part) for pair in files.items() for part in pair]


@pytest.mark.timeout(400)
def test_two_checkpoints_learn_both_label_sets(tmp_path: Path, arguments: list[str]) -> None:
    assert main([*arguments, "--passes", "3", "--rows", "40", "--batch-tokens", "512"]) == 0
    for name, ids in (("two", ("negative", "positive")), ("three", ("negative", "neutral", "positive"))):
        directory = tmp_path / "out" / name
        assert read_labels(directory, len(ids)).ids == ids
        assert len(read_source(directory).weights["classifier.weight"]) == len(ids)
        with np.load(directory / NGRAMS_FILE) as head:
            assert head["weights"].shape == (len(head["keys"]), len(ids))
        rows = list(csv.DictReader((tmp_path / "out" / f"{name}.csv").open(encoding="utf-8", newline="")))
        assert {row["label"] for row in rows} == set(ids)
        assert len(rows) == 18 + 2 * 24 * len(ids), "the dev texts, and those of a writer and a domain"
    two, three = (read_source(tmp_path / "out" / name).weights for name in ("two", "three"))
    same = [np.array_equal(two[name], three[name]) for name in two if not name.startswith("classifier.")]
    assert all(same), "one encoder"


def test_the_written_texts_are_read_with_what_is_held_out() -> None:
    texts = read_written(FILE)
    assert len(texts) > 15_000
    assert 0.1 < np.mean([text.held_out for text in texts]) < 0.2
    assert {text.label for text in texts if text.held_out} == {"0", "1", "n"}


def test_an_unreadable_file_is_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--train", "missing.csv"]) == 1
    assert "missing.csv: cannot be read" in capsys.readouterr().err
