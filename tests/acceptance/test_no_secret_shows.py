"""No program shows a part of a secret, in its output or in the list of processes, whatever Redis does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from local.ports import free_port
from local.processes import ROOT, Group
from local.redis_server import start_redis
from tests.conftest import eventually
from tests.programs import PROGRAMS

SECRETS = {
    "SENTIMENT_ID_SECRET": "idGeheim",
    "SENTIMENT_WEBHOOK_SECRET": "whsec_d2ViaG9va0dlaGVpbXdlYmhvb2tHZWhlaW0=",  # pragma: allowlist secret
    "API_KEY": "sentiq_00000000_keyGeheim",
    "FLOWER_LOGIN": "sentiq:loginGeheim",
}
PARTS = ("idGeheim", "d2ViaG9va0dlaGVpb", "keyGeheim", "loginGeheim", "firstGeheim", "lastGeheim")
PASSWORD = "firstGeheim%23%2F%3FlastGeheim"  # noqa: S105  planted
SAYS = {
    "wrong password": re.compile(r"invalid username-password|WRONGPASS"),
    "no Redis": re.compile(r"refused|does not answer"),
}


@contextmanager
def running(name: str, folder: Path, env: dict[str, str]) -> Iterator[tuple[psutil.Popen, Path]]:
    output = folder / name
    ports = {"PORT": str(free_port()), "FLOWER_PORT": str(free_port())}
    arguments = [f"--port={free_port()}"] if name == "flower" else []
    with output.open("wb") as file:
        process = psutil.Popen(
            [sys.executable, "-m", *PROGRAMS[name], *arguments],
            cwd=ROOT,
            env=env | ports,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process, output
    finally:
        for each in (*process.children(recursive=True), process) if process.is_running() else ():
            each.kill()
        process.wait()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", SAYS)
def test_no_part_of_a_secret_is_shown(fault: str, tmp_path: Path) -> None:
    with Group() as group, ExitStack() as stack:
        port = free_port()
        if fault == "wrong password":
            port = int(re.findall(r":(\d+)/", start_redis(group, password="another")[1])[0])  # noqa: S106
        env = os.environ | SECRETS | {"AUTH": "keys", "REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:{port}/0"}
        programs = [stack.enter_context(running(name, tmp_path, env)) for name in PROGRAMS]
        for process, output in programs:
            eventually(lambda output=output: SAYS[fault].search(output.read_text("utf-8")), within_s=120)  # type: ignore[misc]
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                family = [process, *process.children(recursive=True)]
                lines = " ".join(part for each in family for part in each.cmdline())
                assert [part for part in PARTS if part in lines] == []
        for _, output in programs:
            printed = output.read_text("utf-8")
            assert [part for part in PARTS if part in printed] == [], printed
