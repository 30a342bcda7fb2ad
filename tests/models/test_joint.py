"""Both embedded packs' model is trained on labelled files and written texts together."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from local.processes import ROOT
from training.joint import main
from training.joint_texts import REVIEWS, read_texts
from training.written import FILE, read_written
from worker.evaluate.labelled import LabelledFileError
from worker.packing.labels import read_labels
from worker.packing.source import read_source
from worker.packs.pack import NGRAMS_FILE

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
        (f"{(domain + writer) * 3}{text}", label, domain, "plain", writer)
        for label in "01n"
        for text in composed(label, 24)
        for domain, writer in (("hotel", "1"), ("hotel", "5"), ("games", "1"), ("film", "24"), ("pets", "5"))
    ]
    train = [(text, label) for label in "01" for text in composed(label, 60)]
    dev = [(f"今天又说到：{text}呢", label) for label in "01" for text in composed(label, 20)]
    files = {
        "--train": write(tmp_path / "train.csv", [("text", "label"), *train]),
        "--dev": write(tmp_path / "dev.csv", [("text", "label"), *dev]),
        "--written": write(tmp_path / "written.csv", [header, *written]),
        "--initial": ROOT / "models" / "checkpoint",
        "--out": tmp_path / "out",
    }
    budget = ["--apart", "--passes", "2", "--rows", "40", "--batch-tokens", "512"]
    return [*(str(part) for pair in files.items() for part in pair), *budget]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.timeout(400)
def test_two_checkpoints_learn_both_label_sets(tmp_path: Path, arguments: list[str]) -> None:
    out = tmp_path / "out"
    assert main(arguments) == 0
    for name, ids in (("two", ("negative", "positive")), ("three", ("negative", "neutral", "positive"))):
        assert read_labels(out / name, len(ids)).ids == ids
        assert len(read_source(out / name).weights["classifier.weight"]) == len(ids)
        with np.load(out / name / NGRAMS_FILE) as head:
            assert head["weights"].shape == (len(head["keys"]), len(ids))
        fitted, judged = (rows_of(out / f"{name}-{part}.csv") for part in ("fitted", "judged"))
        assert {row["label"] for row in fitted} == {row["label"] for row in judged} == set(ids)
        own = [{row["domain"] for row in rows} - {REVIEWS} for rows in (fitted, judged)]
        assert own[0]
        assert own[1]
        assert not own[0] & own[1], "a domain is fitted to or judged by"
        reviews = 40 if name == "two" else 0
        assert len(fitted) + len(judged) == reviews + 4 * 24 * len(ids)
    two, three = (read_source(out / name).weights for name in ("two", "three"))
    same = [np.array_equal(two[name], three[name]) for name in two if not name.startswith("classifier.")]
    assert all(same), "one encoder"

    state = tmp_path / "out.work" / "joint.pt"
    before = state.stat().st_mtime_ns
    assert main(arguments) == 0
    assert state.stat().st_mtime_ns == before, "the run was over"
    with (tmp_path / "dev.csv").open("a", encoding="utf-8") as file:
        file.write("物业修好了电梯,1\n")
    assert main([*arguments, "--passes", "1"]) == 0
    assert state.stat().st_mtime_ns > before, "other inputs, another run"


def test_nothing_near_a_text_that_measures_is_learned_from(tmp_path: Path, arguments: list[str]) -> None:
    files = dict(zip(arguments[:10:2], map(Path, arguments[1:10:2]), strict=True))
    with files["--train"].open("a", encoding="utf-8", newline="") as file:
        rows = [(f"{row['text']}！", row["label"]) for row in rows_of(files["--dev"])[:3]]
        csv.writer(file).writerows([*rows, ("隔壁的小店终于又开门营业了，开心", "1")])
    apart = write(tmp_path / "apart.csv", [("text",), ("隔壁的小店终于又开门营业了，开心。",)])
    train, dev, written = (files[name] for name in ("--train", "--dev", "--written"))
    assert len(read_texts(train, dev, written, []).rows) == 121
    assert len(read_texts(train, dev, written, [apart]).rows) == 120


def test_a_checkpoint_of_other_labels_is_refused(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(ROOT / "models" / "checkpoint", other)
    config = json.loads((other / "config.json").read_text("utf-8"))
    config["id2label"] = {"0": "positive", "1": "negative"}
    (other / "config.json").write_text(json.dumps(config), "utf-8")
    assert main([*arguments, "--initial", str(other)]) == 1
    assert "expected a checkpoint of the labels negative and positive" in capsys.readouterr().err


def test_the_written_texts_are_read_with_what_is_held_out() -> None:
    texts = read_written(FILE)
    assert len(texts) > 15_000
    assert 0.1 < np.mean([text.held_out for text in texts]) < 0.2
    assert {text.label for text in texts if text.held_out} == {"0", "1", "n"}


def test_a_missing_file_is_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--train", "missing.csv"]) == 1
    assert "missing.csv: cannot be read" in capsys.readouterr().err


def test_a_label_of_a_written_text_is_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "bad.csv", [("text", "label", "domain", "writer"), ("好", "2", "hotel", "1")])
    with pytest.raises(LabelledFileError, match=r"line 2, column label: '2', expected 0, n or 1"):
        read_written(path)
