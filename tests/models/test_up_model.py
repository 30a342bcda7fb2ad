"""`make up MODEL=` makes a pack once, serves it, names the model, and leaves no partial pack."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

pytest.importorskip("torch")
pytest.importorskip("nncf")

from local.processes import ROOT
from tests.conftest import eventually
from tests.local.test_up import Up, up
from tests.models.hub import MODEL, running_hub, short_timeouts
from tests.models.sources import write_modelscope_source

_MAKING_S = 120
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    """A source with a unique name. Its pack is deleted after the test."""
    name = f"test-{tmp_path.name}-{time.time_ns()}"
    yield write_modelscope_source(tmp_path / name)
    shutil.rmtree(pack_directory(name), ignore_errors=True)


def pack_directory(name: str) -> Path:
    return ROOT / ".run" / "packs" / name


def page_url(running: Up) -> str:
    return next(line for line in running.printed.splitlines() if line.startswith("  page")).split()[1]


def test_a_pack_is_made_once_and_the_model_that_answers_is_named(source: Path, tmp_path: Path) -> None:
    with up(tmp_path, MODEL=str(source)) as first:
        eventually(lambda: "is served" in first.printed, within_s=_MAKING_S)
        first.await_verdict()
        (pack,) = pack_directory(source.name).iterdir()
        assert "exporting to OpenVINO" in first.printed
        assert f"  model   {source.name} {pack.name} (openvino)\n" in first.printed
        model = httpx2.get(page_url(first) + "v1/info", trust_env=False).json()["model"]
        assert (model["id"], model["revision"]) == (source.name, pack.name)
    made = (pack / "pack.json").stat().st_mtime_ns
    with up(tmp_path, MODEL=str(source)) as second:
        second.await_verdict()
        assert "exporting" not in second.printed
        assert f"  model   {source.name} {pack.name} (openvino)\n" in second.printed
    assert (pack / "pack.json").stat().st_mtime_ns == made


def test_a_source_that_names_no_labels_is_served_with_a_file_of_them(source: Path, tmp_path: Path) -> None:
    (source / "label_mapping.json").write_text('{"LABEL_0": 0, "LABEL_1": 1}', "utf-8")
    with up(tmp_path, MODEL=str(source)) as refused:
        assert refused.process.wait(timeout=100) == 1
        assert "name the labels with --labels FILE, with LABELS=FILE of make up" in refused.printed
    file = tmp_path / "labels.json"
    labels = [{"id": name, "label_zh": name, "label_en": name} for name in ("cold", "warm")]
    file.write_text(json.dumps(labels), "utf-8")
    with up(tmp_path, MODEL=str(source), LABELS=str(file)) as running:
        eventually(lambda: "is served" in running.printed, within_s=_MAKING_S)
        running.await_verdict()
        (model,) = httpx2.get(page_url(running) + "v1/models", trust_env=False).json()["data"]
    assert [label["id"] for label in model["labels"]] == ["cold", "warm"]


def test_a_model_of_the_hub_is_resumed_after_a_failure_and_served(tmp_path: Path) -> None:
    revision = f"test-{time.time_ns()}"
    pack = pack_directory(MODEL.replace("/", "--")) / revision
    with running_hub(write_modelscope_source(tmp_path / "hub")) as hub:
        environment = short_timeouts(tmp_path, hub.url) | {"MODEL": MODEL, "REVISION": revision}
        hub.fault = "cut"
        with up(tmp_path, **environment) as failed:
            assert failed.process.wait(timeout=100) == 1
            last = failed.printed.splitlines()[-1]
            assert last.startswith(
                f"{MODEL} at {revision}: pytorch_model.bin cannot be downloaded from ModelScope"
            )
        assert not pack.exists()
        hub.fault = ""
        with up(tmp_path, **environment) as running:
            eventually(lambda: "is served" in running.printed, within_s=_MAKING_S)
            running.await_verdict()
            assert f"  model   {MODEL} {revision} (openvino)\n" in running.printed
        half = (hub.directory / "pytorch_model.bin").stat().st_size // 2
        assert hub.ranges == [f"pytorch_model.bin {half}"]
    shutil.rmtree(pack)


def test_ctrl_c_while_a_pack_is_made_leaves_nothing(source: Path, tmp_path: Path) -> None:
    with up(tmp_path, MODEL=str(source)) as running:
        eventually(lambda: "exporting to OpenVINO" in running.printed, within_s=_MAKING_S)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=100) == 0
    assert list(pack_directory(source.name).iterdir()) == []
    assert "Traceback" not in running.printed


def test_a_source_that_is_refused_ends_the_start_with_the_reason(source: Path, tmp_path: Path) -> None:
    (source / "vocab.txt").unlink()
    with up(tmp_path, MODEL=str(source)) as running:
        assert running.process.wait(timeout=100) == 1
        assert running.printed.splitlines()[-1] == f"vocab.txt: missing from {source}"
        assert "│" not in running.printed
    assert not pack_directory(source.name).exists()
