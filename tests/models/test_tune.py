"""Tuning, whole: from a file of labels to a pack that is served. Needs torch, nncf and scikit-learn."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("nncf")
pytest.importorskip("sklearn")

from local.processes import ROOT  # noqa: E402
from tasks.vocabulary.labels import NEGATIVE_POSITIVE  # noqa: E402
from tests.conftest import eventually  # noqa: E402
from tests.models.composed import NAMES, sentences  # noqa: E402
from tests.models.sources import write_source as write_tiny_source  # noqa: E402
from tests.models.trained import CHECKPOINT  # noqa: E402
from training.finetune import initial_model  # noqa: E402
from training.near_copies import group  # noqa: E402
from training.ngrams import train_head  # noqa: E402
from training.source_files import write_source  # noqa: E402
from training.tune import REFUSED, main  # noqa: E402
from training.work_folder import locked  # noqa: E402
from worker.engines.factory import build_engine  # noqa: E402
from worker.packing.inputs import encode  # noqa: E402
from worker.packing.source import read_source  # noqa: E402
from worker.packing.terminal import INTERRUPTED  # noqa: E402
from worker.packs.ngrams import read_head, write_ngrams  # noqa: E402
from worker.packs.pack import NGRAMS_FILE, load_pack  # noqa: E402
from worker.scoring.classifier import Classifier  # noqa: E402

pytestmark = pytest.mark.timeout(900)

BUDGET = ("--threads", "1", "--batch-tokens", "256", "--passes", "6")
Rows = Sequence[tuple[str, str]]


def composed(*names: str) -> Rows:
    """Return the composed sentences with labels of these names."""
    learnt, held_out = sentences()
    return [(text, NAMES[number]) for text, number in learnt + held_out if NAMES[number] in names]


def write(path: Path, rows: Rows) -> Path:
    """Write a file of labelled texts, in a random order."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *random.Random(1).sample(rows, len(rows))])
    return path


def figures(out: Path) -> dict[str, Any]:
    """Return the figures of a run."""
    read: dict[str, Any] = json.loads(Path(f"{out}.work/figures.json").read_text("utf-8"))
    return read


def interrupt(*_: object) -> None:
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped checkpoint with a random head: it reads Chinese, and its verdicts are chance."""
    folder = tmp_path_factory.mktemp("untrained")
    source = read_source(CHECKPOINT)
    model = initial_model(source, 2, keep_head=False, seed=1)
    write_source(folder, model.state_dict(), source.shape, NEGATIVE_POSITIVE, source.vocabulary)
    return folder


@pytest.fixture(scope="module")
def resumed(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    """The pack of a run that was killed after a pass and started again; the passes before; what it said."""
    folder = tmp_path_factory.mktemp("resumed")
    file = write(folder / "own.csv", composed("正面", "负面"))
    command = [sys.executable, "-m", "training.tune", str(file), "--start", str(untrained)]
    command += ["--out", str(folder / "mine"), *BUDGET]
    state = folder / "mine.work" / "state.pt"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, process_group=0) as killed:
        try:
            eventually(state.exists, within_s=300)
        finally:
            os.killpg(killed.pid, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    passes = len(torch.load(state.with_name("best.pt"), weights_only=True)["passes"])
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return folder / "mine", passes, again.stdout


def test_a_killed_run_goes_on_where_it_was(resumed: tuple[Path, int, str]) -> None:
    _, passes, said = resumed
    assert passes > 0
    assert f"pass {passes} of" not in said
    assert f"pass {passes + 1} of" in said


def test_a_resumed_run_computes_what_an_uninterrupted_one_does(
    resumed: tuple[Path, int, str], untrained: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "own.csv", composed("正面", "负面"))
    asked = [str(file), "--start", str(untrained), "--out", str(tmp_path / "mine"), *BUDGET]
    assert main(asked) == 0
    assert figures(tmp_path / "mine")["passes"] == figures(resumed[0])["passes"]
    files = (load_pack(path).files["reference.safetensors"] for path in (tmp_path / "mine", resumed[0]))
    assert len(set(files)) == 1


def test_the_pack_is_better_than_its_start_and_says_what_it_learnt(resumed: tuple[Path, int, str]) -> None:
    pack = load_pack(resumed[0])
    assert pack.id == "mine"
    assert pack.labels == NEGATIVE_POSITIVE
    assert pack.temperature != 1.0
    engine = build_engine(pack, "openvino", device="cpu", threads=1)
    classifier = Classifier(pack, engine, batch_tokens=512)
    verdicts = classifier.classify(["这家的服务真的非常好", "这家的服务真的非常差"])
    assert [verdict.number for verdict in verdicts] == [1, 0]
    kept = figures(resumed[0])
    assert kept["written"]
    assert kept["held_out"]["baseline"] == "the start"
    assert kept["held_out"]["differences"]["the start"]["macro_f1"]["low"] > 0
    assert [point["texts"] for point in kept["learning_curve"]][-1] == kept["texts"]["training"]
    assert pack.measured["texts"] == kept["texts"]["checking"]
    assert sorted(path.name for path in resumed[0].parent.iterdir()) == ["mine", "mine.work", "own.csv"]


def test_the_ngram_head_of_the_start_counts_and_is_kept(untrained: Path, tmp_path: Path) -> None:
    rows = composed("正面", "负面")
    file, start = write(tmp_path / "own.csv", rows), tmp_path / "start"
    shutil.copytree(untrained, start)
    numbers = [int(name == "正面") for _, name in rows]
    head = train_head(encode([text for text, _ in rows], start / "vocab.txt", 256), numbers, 2)
    write_ngrams(replace(head, scale=head.scale * 20), start / NGRAMS_FILE)

    asked = [str(file), "--start", str(start), "--out", str(tmp_path / "mine"), *BUDGET, "--passes", "1"]
    assert main(asked) == REFUSED
    held_out = figures(tmp_path / "mine")["held_out"]
    assert held_out["baselines"]["the start"]["macro_f1"] > 0.95
    assert held_out["tuned"]["macro_f1"] > 0.9
    kept = read_head(tmp_path / "mine.work" / "source" / NGRAMS_FILE, read_source(start).shape.vocabulary, 2)
    assert (kept.keys == head.keys).all()
    assert (kept.scale > 0).all()


def test_shuffled_labels_are_refused(
    untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = composed("正面", "负面")
    labels = random.Random(2).sample([label for _, label in rows], len(rows))
    file = write(tmp_path / "own.csv", [(text, label) for (text, _), label in zip(rows, labels, strict=True)])
    asked = [str(file), "--start", str(untrained), "--out", str(tmp_path / "mine"), *BUDGET]
    assert main(asked) == REFUSED
    assert re.search(r"not written: on \d\d held-out texts macro F1 is 0\.", capsys.readouterr().out)
    assert not (tmp_path / "mine").exists()
    assert not figures(tmp_path / "mine")["written"]
    assert "95 % interval" in figures(tmp_path / "mine")["reason"]


def test_three_labels_from_a_file_get_a_head_of_their_own(tmp_path: Path) -> None:
    good = {"id": "good", "label_zh": "赞", "label_en": "Good", "polarity": 1}
    names = {"负面": "bad", "中性": "so_so", "正面": good}
    (tmp_path / "names.json").write_text(json.dumps(names), "utf-8")
    file = write(tmp_path / "own.csv", composed(*NAMES))
    asked = [str(file), "--start", str(CHECKPOINT), "--labels", str(tmp_path / "names.json"), *BUDGET]
    assert main([*asked, "--out", str(tmp_path / "mine"), "--passes", "8"]) in (0, REFUSED)
    kept = figures(tmp_path / "mine")
    assert kept["labels"] == {"bad": 96, "so_so": 96, "good": 96}
    assert kept["held_out"]["baselines"].keys() == {
        "the most frequent label",
        "a linear model of character n-grams",
    }
    assert kept["held_out"]["tuned"]["macro_f1"] > 0.8
    assert read_source(tmp_path / "mine.work" / "source").shape.labels == 3
    assert len(set(group([text for text, _ in composed(*NAMES)]))) > 250


def test_a_run_that_is_interrupted_in_training_leaves_the_most_doubtful_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.tuning.fine_tune", interrupt)
    wrong = [("=服务真的值得称赞", "负面"), ("老师真的糟糕透顶", "正面")]
    file = write(tmp_path / "own.csv", [*composed("正面", "负面"), *wrong])
    assert main([str(file), "--start", str(CHECKPOINT), "--out", str(tmp_path / "mine")]) == INTERRUPTED
    assert "the same command goes on from here" in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()

    raw = (tmp_path / "mine.work" / "doubtful.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    table = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert 2 <= len(table) <= 20
    first = {row["text"]: row for row in table[:2]}
    assert first.keys() == {"'=服务真的值得称赞", "老师真的糟糕透顶"}
    assert first["老师真的糟糕透顶"]["label_expected"] == "negative"
    lines = file.read_text("utf-8").splitlines()
    assert lines[int(first["老师真的糟糕透顶"]["line"]) - 1].startswith("老师真的糟糕透顶")


def test_a_start_that_cannot_be_used_is_a_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "own.csv", composed("正面", "负面"))
    broken = write_tiny_source(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"cut")
    causes = {
        "nowhere": "nowhere: neither a directory nor a ModelScope id",
        str(broken): "model.safetensors: cannot be read",
        str(ROOT / "models" / "embedded"): "embedded: a pack, which cannot be trained",
        str(tmp_path / "mine"): "is the start, which would be overwritten",
        str(tmp_path / "mine.work" / "source"): "lies in",
    }
    for start, cause in causes.items():
        assert main([str(file), "--start", start, "--out", str(tmp_path / "mine")]) == 1
        assert cause in capsys.readouterr().err.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "own.csv"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--rate", "0"), ("--rate", "-1e-4"), ("--rate", "nan"), ("--rate", "2"), ("--seed", "-1")],
)
def test_a_rate_or_a_seed_out_of_range_is_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["own.csv", "--start", str(CHECKPOINT), "--out", "mine", f"{option}={value}"])
    assert exited.value.code == 2
    assert f"argument {option}: {value!r} is not a" in capsys.readouterr().err


def test_a_second_run_of_the_same_out_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "own.csv", composed("正面", "负面"))
    with locked(tmp_path / "mine"):
        assert main([str(file), "--start", str(CHECKPOINT), "--out", str(tmp_path / "mine")]) == 1
    assert "mine.work: in use by another run" in capsys.readouterr().err


def test_an_out_without_a_name_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "own.csv", composed("正面", "负面"))
    assert main([str(file), "--start", str(CHECKPOINT), "--out", "."]) == 1
    assert "--out .: expected the name of a directory" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["state.pt", "best.pt"])
def test_a_state_that_cannot_be_gone_on_with_is_a_clear_error(
    state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "own.csv", composed("正面", "负面"))
    asked = [str(file), "--start", str(CHECKPOINT), "--out", str(tmp_path / "mine"), *BUDGET]
    with monkeypatch.context() as patched:
        patched.setattr("training.tuning.fine_tune", interrupt)
        assert main(asked) == INTERRUPTED
    torch.save({"seen": 3}, tmp_path / "mine.work" / state)
    assert main(asked) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"mine.work/{state}: damaged, or of another version or model (KeyError: " in said


def test_a_missing_device_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    file = write(tmp_path / "own.csv", composed("正面", "负面"))
    asked = [str(file), "--start", str(CHECKPOINT), "--out", str(tmp_path / "mine"), "--device", "cuda"]
    assert main(asked) == 1
    assert "finds no GPU" in capsys.readouterr().err
