"""The check of lock files, with a real package index over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from deploy.check_locks import LINUX_ARM, LINUX_X86, MAC, Platform, Target, missing, pins, wheels_of
from local.ports import free_port
from local.processes import ROOT

HASH = "a" * 64


@contextmanager
def index(pages: dict[str, str]) -> Iterator[str]:
    """Serve these pages, and 404 for any other; give the URL of the index."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path.strip("/"))
            self.send_response(200 if page else 404)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write((page or "").encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def link(file: str, sha256: str = HASH, python: str = "") -> str:
    return f'<a href="../{file}#sha256={sha256}" data-requires-python="{python}">{file}</a>'


@pytest.mark.parametrize(
    ("page", "python", "platform", "installs"),
    [
        (link("thing-1.0-py3-none-any.whl"), "3.14", MAC, True),
        (link("thing-1.0-cp313-cp313-manylinux_2_17_x86_64.whl"), "3.13", LINUX_X86, True),
        (link("thing-1.0-cp313-cp313-manylinux2014_aarch64.whl"), "3.13", LINUX_ARM, True),
        (link("thing-1.0-cp311-abi3-macosx_11_0_arm64.whl"), "3.14", MAC, True),
        (link("thing-1.0-cp313-cp313-manylinux_2_17_x86_64.whl"), "3.14", LINUX_X86, False),
        (link("thing-1.0-cp313-cp313-manylinux_2_17_x86_64.whl"), "3.13", LINUX_ARM, False),
        (link("thing-1.0-cp313-cp313-manylinux_2_34_x86_64.whl"), "3.13", LINUX_X86, False),
        (link("thing-1.0-cp313-cp313-musllinux_1_2_x86_64.whl"), "3.13", LINUX_X86, False),
        (link("thing-1.0-py3-none-any.whl", python="&gt;=3.12"), "3.11", MAC, False),
        (link("thing-1.0-py3-none-any.whl", python="&gt;=3.12"), "3.12", MAC, True),
        (link("thing-1.0-py3-none-any.whl", sha256="b" * 64), "3.12", MAC, False),
        (link("thing-1.1-py3-none-any.whl"), "3.12", MAC, False),
        (link("thing-1.0.tar.gz"), "3.12", MAC, False),
        (link("thing-1.0.tar.gz") + link("thing-1.0-py3-none-any.whl"), "3.12", MAC, True),
    ],
)
def test_a_pin_installs_if_its_page_has_a_wheel_that_pip_accepts(
    page: str, python: str, platform: Platform, *, installs: bool, tmp_path: Path
) -> None:
    lock = tmp_path / "thing.lock"
    lock.write_text(f"thing==1.0 \\\n    --hash=sha256:{HASH}\n    # via nothing\n", "utf-8")
    with index({"thing": page}) as url:
        wheels = wheels_of({"thing"}, url)
    assert [pin.name for pin in missing(pins(lock), Target(python, platform), wheels)] == ["thing"] * (
        not installs
    )


def test_a_line_applies_where_its_marker_holds(tmp_path: Path) -> None:
    lock = tmp_path / "thing.lock"
    lock.write_text(
        "# a comment\n"
        "old==1 ; python_full_version < '3.12'\n"
        "windows==1 ; sys_platform == 'win32'\n"
        "arm==1 ; platform_machine == 'aarch64'\n",
        "utf-8",
    )

    def without(python: str, platform: Platform) -> list[str]:
        lines = missing(pins(lock), Target(python, platform), {"old": [], "windows": [], "arm": []})
        return [pin.name for pin in lines]

    assert without("3.11", LINUX_X86) == ["old"]
    assert without("3.12", LINUX_X86) == []
    assert without("3.12", LINUX_ARM) == ["arm"]


def check(index_url: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PIP_INDEX_URL": index_url}
    command = [sys.executable, "-m", "deploy.check_locks"]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_an_index_without_a_wheel_fails_the_check_by_name() -> None:
    with index({}) as url:
        done = check(url)
    assert done.returncode == 1, done.stderr
    assert "no wheel: flask==" in done.stdout
    assert "of local.lock, Python 3.14 on Linux arm64" in done.stdout
    assert "no wheel: gevent==26.9.0 of local.lock, Python 3.11 on macOS arm64 (accepted: " in done.stdout


def test_without_an_index_the_check_is_skipped() -> None:
    done = check(f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("skipped: make check-locks, the package index does not answer: http://127")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("other", ["api", "webhooks", "worker", "dev"])
def test_what_is_installed_for_traces_changes_no_version(other: str) -> None:
    folder = ROOT / "requirements"
    traces, beside = (
        {pin.name: str(pin.requirement.specifier) for pin in pins(folder / f"{name}.lock")}
        for name in ("tracing", other)
    )
    assert "opentelemetry-sdk" in traces
    assert {name: traces[name] for name in traces.keys() & beside} == {
        name: beside[name] for name in traces.keys() & beside
    }
