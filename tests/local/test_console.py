"""A terminal that cannot hold a character gets a substitute, and the program goes on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from local.processes import ROOT


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, check=False)


@pytest.mark.parametrize("encoding", ["gbk", "latin-1"])
def test_a_key_has_any_name(redis_url: str, encoding: str) -> None:
    env = {"PYTHONIOENCODING": encoding, "REDIS_URL": redis_url}
    for arguments in (("create", "商店😊"), ("list",)):
        done = run("api.auth", *arguments, **env)
        assert done.returncode == 0, done.stderr
        assert "商店😊".encode(encoding, "replace") in done.stdout


def test_a_refusal_holds_any_name() -> None:
    done = run("local.model", MODEL="没有😊", PYTHONIOENCODING="latin-1")
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"MODEL=" in done.stderr


def test_the_openapi_document_is_utf_8_on_any_terminal() -> None:
    done = run("api", PYTHONIOENCODING="latin-1")
    assert done.stdout == (ROOT / "docs" / "openapi.json").read_bytes(), done.stderr
