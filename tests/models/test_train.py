"""The training script, whole, on a corpus of a few invented sentences. Needs torch and scikit-learn."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from worker.packing.source import read_source

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

ROOT = Path(__file__).parents[2]
GOOD, BAD = ("很好吃", "物流快", "服务周到", "值得推荐"), ("太难吃", "物流慢", "态度很差", "不会再来")
SMALL = ["--layers", "1", "--width", "32", "--heads", "4", "--vocabulary", "64", "--pretrain-tokens", "3000"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [f'{label},"{a}，{b}"' for label, words in ((1, GOOD), (0, BAD)) for a in words for b in words]
    for name in ("train", "dev"):
        with gzip.open(tmp_path / f"{name}.csv.gz", "wt", encoding="utf-8") as file:
            file.write("\n".join(["label,text", *rows * 8]) + "\n")
    with gzip.open(tmp_path / "lines.txt.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(GOOD + BAD) + "\n")
    return tmp_path


def train(data: Path, *arguments: str) -> str:
    """Run the script; return its output."""
    files = [f"--{name}={data / name}.csv.gz" for name in ("train", "dev")]
    files += [f"--unlabelled={data / 'lines.txt.gz'}", f"--out={data / 'out'}"]
    done = subprocess.run(
        [sys.executable, "-m", "training.train", *files, *SMALL, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_training_learns_the_labels_and_writes_a_source(data: Path) -> None:
    said = train(data, "--finetune-tokens", "60000", "--finetune-rate", "2e-3", "--batch-tokens", "512")
    accuracies = [float(line.split()[2].rstrip(",")) for line in said.splitlines() if "dev accuracy" in line]
    assert accuracies[-1] > 0.95
    assert read_source(data / "out" / "source").shape.width == 32


def test_training_resumes_from_its_checkpoints(data: Path) -> None:
    train(data, "--stage", "pretrain")
    kept = (data / "out" / "pretrain.pt").stat().st_mtime_ns
    train(data, "--stage", "finetune", "--finetune-tokens", "2000")
    said = train(data, "--stage", "finetune", "--finetune-tokens", "2000")
    assert "dev accuracy" not in said  # the budget was spent before
    assert (data / "out" / "pretrain.pt").stat().st_mtime_ns == kept


@pytest.mark.parametrize("name", ["teacher.pt", "pretrain.pt"])
def test_a_state_of_another_version_is_one_clear_line(name: str, data: Path) -> None:
    (data / "out").mkdir()
    torch.save({"seen": 3}, data / "out" / name)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        train(data)
    assert failed.value.returncode == 1
    said = failed.value.stderr.splitlines()
    assert f"{name}: damaged, or of another version or model (KeyError: " in said[-1]
    assert not any("Traceback" in line for line in said)


def test_training_starts_from_a_checkpoint_of_another_run(data: Path) -> None:
    train(data, "--finetune-tokens", "2000")
    first = read_source((data / "out").rename(data / "first") / "source")
    train(data, f"--initial={first.vocabulary.parent}", "--pretrain-tokens", "0", "--finetune-tokens", "0")
    again = read_source(data / "out" / "source")
    assert again.vocabulary.read_bytes() == first.vocabulary.read_bytes()
    assert all(torch.allclose(again.weights[name], first.weights[name], atol=1e-6) for name in first.weights)
