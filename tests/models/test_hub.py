"""A download from ModelScope is complete, is resumed after a failure, and fails when the hub is silent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("modelscope")
pytest.importorskip("torch")

from local.ports import free_port
from local.processes import ROOT
from tests.models.hub import MODEL, Hub, running_hub, short_timeouts
from tests.models.sources import TEXTS, write_source
from worker.packs.pack import load_pack

WEIGHTS = "model.safetensors"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running_hub(write_source(tmp_path / "hub")) as running:
        yield running


def run(folder: Path, endpoint: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a module with ModelScope's client pointed at a stand-in, with short timeouts."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | short_timeouts(folder, endpoint),
        capture_output=True,
        text=True,
        timeout=140,
        check=False,
    )


def fetch(folder: Path, endpoint: str, model: str = MODEL) -> subprocess.CompletedProcess[str]:
    """Download only; print the error as the command does."""
    code = (
        "from worker.packs.pack import PackError\n"
        "from worker.packing.modelscope import download\n"
        f"try: print(download({model!r}, 'master'))\n"
        "except PackError as error: raise SystemExit(str(error))"
    )
    return run(folder, endpoint, "-c", code)


def test_a_download_that_was_cut_off_is_resumed_and_becomes_a_pack(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("\n".join(TEXTS), "utf-8")
    out = tmp_path / "packs" / "pack"
    options = ("--source", MODEL, "--out", str(out), "--calibration", str(tmp_path / "texts"))
    make = ("-m", "worker.packing", "make", *options, "--min-agreement", "0.5")
    hub.fault = "cut"
    failed = run(tmp_path, hub.url, *make)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith(f"{MODEL} at master: {WEIGHTS} cannot be downloaded")
    assert not out.parent.exists()
    hub.fault = ""
    made = run(tmp_path, hub.url, *make)
    assert made.returncode == 0, made.stderr
    assert hub.ranges == [f"{WEIGHTS} {(hub.directory / WEIGHTS).stat().st_size // 2}"]
    assert (load_pack(out).id, load_pack(out).revision) == (MODEL, "master")


def test_a_download_that_stalls_ends_with_the_reason(hub: Hub, tmp_path: Path) -> None:
    hub.fault = "stall"
    start = time.monotonic()
    failed = fetch(tmp_path, hub.url)
    assert time.monotonic() - start < 40
    assert failed.returncode == 1
    last = failed.stderr.splitlines()[-1]
    assert last.startswith(f"{MODEL} at master: {WEIGHTS} cannot be downloaded from ModelScope (")
    assert "timed out" in last


def test_a_complete_download_is_reused(hub: Hub, tmp_path: Path) -> None:
    first, second = fetch(tmp_path, hub.url), fetch(tmp_path, hub.url)
    assert first.returncode == second.returncode == 0
    directory = Path(second.stdout.splitlines()[-1])
    assert directory.is_relative_to(tmp_path / "cache")
    assert (directory / WEIGHTS).read_bytes() == (hub.directory / WEIGHTS).read_bytes()


def test_a_hub_that_does_not_answer_is_reported_in_one_line(tmp_path: Path) -> None:
    failed = fetch(tmp_path, f"http://127.0.0.1:{free_port()}")
    last = failed.stderr.splitlines()[-1]
    assert last.startswith(f"{MODEL} at master: cannot be downloaded from ModelScope (")
    assert "Connection refused" in last


def test_a_model_that_does_not_exist_is_reported_in_one_line(hub: Hub, tmp_path: Path) -> None:
    failed = fetch(tmp_path, hub.url, "iic/none")
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("iic/none at master: cannot be downloaded from ModelScope (")
    assert "record not found" in last
