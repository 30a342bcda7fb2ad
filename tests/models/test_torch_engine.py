"""The torch engine serves the reference weights: in fp32 on the CPU, in mixed precision on a GPU."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("nncf")

from sentiq import Sentiq  # noqa: E402

from tasks.settings import Settings  # noqa: E402
from tests.acceptance.test_refusals import run_worker  # noqa: E402
from tests.conftest import started_stack  # noqa: E402
from tests.models.sources import TEXTS, write_source  # noqa: E402
from worker.engines.factory import build_engine  # noqa: E402
from worker.engines.torch import CUDA_BATCH_TOKENS, TorchEngine  # noqa: E402
from worker.packing.make import Recipe, make_pack  # noqa: E402
from worker.packs.pack import Pack  # noqa: E402
from worker.process.wiring import build_worker  # noqa: E402
from worker.scoring.classifier import Classifier  # noqa: E402

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """An fp32 pack, whose graph and reference weights give equal verdicts."""
    root = tmp_path_factory.mktemp("torch")
    recipe = Recipe(write_source(root / "source"), root / "pack", "tiny", "1", TEXTS, min_agreement=1.01)
    return make_pack(recipe)


def probabilities(pack: Pack, engine: str, device: str = "cpu") -> list[float]:
    built = build_engine(pack, engine, device=device, threads=1)
    verdicts = Classifier(pack, built, batch_tokens=built.batch_tokens).classify(TEXTS)
    return [verdict.kept[1] for verdict in verdicts]


@pytest.mark.parametrize("device", DEVICES)
def test_verdicts_equal_those_of_the_graph(pack: Pack, device: str) -> None:
    tolerance = 1e-6 if device == "cpu" else 0.02
    np.testing.assert_allclose(
        probabilities(pack, "torch", device), probabilities(pack, "openvino"), atol=tolerance
    )


@pytest.mark.parametrize("mixed", [torch.bfloat16, torch.float16])
def test_mixed_precision_drifts_a_little(pack: Pack, mixed: Any) -> None:
    ids = np.array([[2, 7, 8, 9, 3, 0], [2, 10, 11, 12, 13, 3]], np.int64)
    mask = (ids > 0).astype(np.int64)
    exact, rough = np.zeros((2, len(ids), 2), np.float32)
    TorchEngine(pack, device="cpu", threads=1).forward(ids, mask, None, exact)
    TorchEngine(pack, device="cpu", threads=1, mixed=mixed).forward(ids, mask, None, rough)
    assert not np.array_equal(rough, exact)
    np.testing.assert_allclose(rough, exact, atol=0.05)


def test_a_gpu_gets_larger_batches_than_a_cpu(pack: Pack) -> None:
    assert TorchEngine(pack, device="cpu", threads=1).batch_tokens < CUDA_BATCH_TOKENS


@pytest.mark.parametrize(("asked", "children"), [("", 1), ("3", 3)])
def test_a_gpu_gets_one_child_by_default(monkeypatch: pytest.MonkeyPatch, asked: str, children: int) -> None:
    monkeypatch.setenv("ENGINE", "torch")
    monkeypatch.setenv("DEVICE", "cuda")
    if asked:
        monkeypatch.setenv("SENTIMENT_CONCURRENCY", asked)
    assert build_worker(Settings.read()).conf.worker_concurrency == children


@pytest.mark.timeout(200)
def test_a_worker_serves_with_the_chosen_engine(pack: Pack, tmp_path: Path) -> None:
    variables = {"ENGINE": "torch", "SENTIMENT_PACK": str(pack.directory)}
    with started_stack(tmp_path, **variables) as stack, Sentiq(stack.url) as client:
        assert client.info()["model"]["engine"] == "torch"
        served = stack.score(client, TEXTS[0])["positive_prob"]
    assert served == pytest.approx(probabilities(pack, "torch")[0], abs=1e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_worker_without_its_gpu_exits_with_one_clear_line(redis_url: str) -> None:
    done = run_worker(redis_url, ENGINE="torch", DEVICE="cuda")
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert re.search(r"cannot serve .*device cuda: torch finds no GPU; install a CUDA build of torch", last)
    assert "Traceback" not in done.stderr
