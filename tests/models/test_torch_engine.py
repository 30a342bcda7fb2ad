"""The torch engine serves the weights that a pack keeps: exactly on the CPU, in mixed precision on a GPU."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from ops.client import Client  # noqa: E402
from tasks.settings import Settings  # noqa: E402
from tests.acceptance.test_refusals import run_worker  # noqa: E402
from tests.conftest import started_stack  # noqa: E402
from worker.app import build_worker  # noqa: E402
from worker.classifier import Classifier  # noqa: E402
from worker.engines import build_engine  # noqa: E402
from worker.engines.torch import CUDA_BATCH_TOKENS, TorchEngine  # noqa: E402
from worker.packs import load_pack  # noqa: E402

EMBEDDED = load_pack(Path(__file__).parents[2] / "models" / "embedded")
TEXTS = (Path(__file__).parents[2] / "models" / "calibration.txt").read_text("utf-8").splitlines()[:64]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def probabilities(engine: str, device: str = "cpu") -> list[float]:
    built = build_engine(EMBEDDED, engine, device=device, threads=1)
    verdicts = Classifier(EMBEDDED, built, batch_tokens=built.batch_tokens).classify(TEXTS)
    return [verdict.positive_prob for verdict in verdicts]


@pytest.mark.parametrize("device", DEVICES)
def test_verdicts_are_those_of_int8_but_for_its_drift(device: str) -> None:
    np.testing.assert_allclose(probabilities("torch", device), probabilities("openvino"), atol=0.15)


@pytest.mark.parametrize("mixed", [torch.bfloat16, torch.float16])
def test_mixed_precision_strays_a_little_and_answers_in_fp32(mixed: Any) -> None:
    ids = np.array([[2, 30, 40, 50, 3, 0], [2, 60, 70, 80, 90, 3]], np.int64)
    mask = (ids > 0).astype(np.int64)
    exact = TorchEngine(EMBEDDED, device="cpu", threads=1).logits(ids, mask)
    rough = TorchEngine(EMBEDDED, device="cpu", threads=1, mixed=mixed).logits(ids, mask)
    assert rough.dtype == np.float32
    assert not np.array_equal(rough, exact)
    np.testing.assert_allclose(rough, exact, atol=0.3)


def test_a_gpu_is_given_larger_batches_than_a_processor() -> None:
    assert TorchEngine(EMBEDDED, device="cpu", threads=1).batch_tokens < CUDA_BATCH_TOKENS


@pytest.mark.parametrize(("asked", "children"), [("", 1), ("3", 3)])
def test_a_gpu_is_given_one_child_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, asked: str, children: int
) -> None:
    monkeypatch.setenv("ENGINE", "torch")
    monkeypatch.setenv("DEVICE", "cuda")
    if asked:
        monkeypatch.setenv("SENTIMENT_CONCURRENCY", asked)
    assert build_worker(Settings.read()).conf.worker_concurrency == children


@pytest.mark.timeout(200)
def test_a_worker_serves_with_the_engine_that_is_asked_for(tmp_path: Path) -> None:
    with started_stack(tmp_path, ENGINE="torch") as stack, Client(stack.url) as client:
        assert client.info()["model"]["engine"] == "torch"
        assert stack.score(client, TEXTS[0])["positive_prob"] == pytest.approx(
            probabilities("torch")[0], abs=1e-4
        )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_worker_without_the_gpu_it_is_to_use_ends_with_one_clear_line(redis_url: str) -> None:
    done = run_worker(redis_url, ENGINE="torch", DEVICE="cuda")
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert re.search(r"cannot serve .*device cuda: torch finds none; install a CUDA build of torch", last)
    assert "Traceback" not in done.stderr
