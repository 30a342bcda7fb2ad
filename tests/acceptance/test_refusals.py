"""A worker that cannot score prints the cause and ends; it never looks healthy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local.processes import ProcessDiedError
from tasks.settings import EMBEDDED_PACK
from tests.conftest import eventually, started_stack, worker_of


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("change", r"model\.bin: changed since the pack was made"),
        ("remove", r"vocab\.txt: missing"),
        ("empty", r"pack\.json: missing"),
    ],
)
def test_a_worker_refuses_a_damaged_pack_and_names_the_file(
    tmp_path: Path, redis_url: str, damage: str, message: str
) -> None:
    pack = tmp_path / "pack"
    if damage == "empty":
        pack.mkdir()
    else:
        shutil.copytree(EMBEDDED_PACK, pack)
    if damage == "change":
        weights = bytearray((pack / "model.bin").read_bytes())
        weights[1000] ^= 1
        (pack / "model.bin").write_bytes(weights)
    if damage == "remove":
        (pack / "vocab.txt").unlink()
    done = run_worker(redis_url, SENTIMENT_PACK=str(pack))
    assert done.returncode != 0
    assert re.search(message, done.stderr), done.stderr


def test_a_worker_whose_new_children_cannot_load_ends_instead_of_looking_healthy(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    shutil.copytree(EMBEDDED_PACK, pack)
    with started_stack(tmp_path, SENTIMENT_PACK=str(pack)) as stack:
        worker = worker_of(stack)
        (pack / "vocab.txt").unlink()
        for child in worker.children():
            child.kill()
        eventually(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, within_s=60)
        with pytest.raises(ProcessDiedError, match=r"vocab\.txt: missing"):
            stack.check()


def test_a_worker_refuses_an_engine_that_cannot_run_here(redis_url: str) -> None:
    done = run_worker(redis_url, DEVICE="cuda")
    assert done.returncode != 0
    assert "openvino runs on cpu, not cuda" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_worker_refuses_bad_settings_and_names_them(redis_url: str) -> None:
    done = run_worker(redis_url, SENTIMENT_BATCH_TOKENS="many")
    assert done.returncode != 0
    assert "SENTIMENT_BATCH_TOKENS='many'" in done.stderr


def run_worker(redis_url: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "celery", "-A", "worker.main", "worker"]
    env = os.environ | {"REDIS_URL": redis_url} | variables
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
