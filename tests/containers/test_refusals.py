"""A container with a wrong setting names it, and ends or tries again with growing pauses."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.containers import Project
from tests.conftest import eventually
from tests.containers.conftest import PROBES, exit_code, log_of, probe, running


@pytest.mark.parametrize("role", ["worker", "webhooks", "api", "flower"])
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("redis://{role}:wrong@redis:6379/0", ("WRONGPASS", "invalid username-password")),
        ("redis://{role}:any@redis:6380/0", ("6380",)),
    ],
    ids=["wrong password", "unreachable"],
)
def test_a_redis_that_refuses_a_role_is_named_and_tried_again(
    stack: Project, role: str, address: str, reason: tuple[str, ...]
) -> None:
    variables = {"REDIS_URL": address.format(role=role), "AUTH": "none"}
    with running(role, f"{stack.name}_back", variables) as container:

        def complaints() -> int:
            lines = log_of(container).splitlines()
            return sum(any(word in line for word in reason) for line in lines)

        if role == "api":  # The API connects only when it is asked.
            eventually(lambda: "Booting worker" in log_of(container))
            assert {probe(container, role).returncode for _ in range(2)} == {1}
        eventually(lambda: complaints() >= 2, within_s=60)
        assert exit_code(container) is None
        if role in PROBES:
            assert probe(container, role).returncode != 0
        assert "wrong@" not in log_of(container), "the log shows no password"


def test_a_worker_without_its_pack_names_it_and_ends(stack: Project) -> None:
    variables = {"REDIS_URL": f"redis://worker:{stack.env['REDIS_WORKER_PASSWORD']}@redis:6379/0"}
    with running("worker", f"{stack.name}_back", variables | {"SENTIMENT_PACK": "/nowhere"}) as container:
        assert eventually(lambda: exit_code(container), within_s=60) == 1
        assert log_of(container).splitlines()[-1].startswith("worker: cannot serve /nowhere: pack.json")


def test_nginx_without_a_readable_key_names_it_and_ends(
    stack: Project, certificates: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "fullchain.pem").write_bytes((certificates / "fullchain.pem").read_bytes())
    mount = f"{folder}:/etc/nginx/tls:ro"
    with running("nginx", f"{stack.name}_front", {}, "--volume", mount) as container:
        assert eventually(lambda: exit_code(container), within_s=30) == 1
        assert "/etc/nginx/tls/privkey.pem" in log_of(container)
    (folder / "privkey.pem").write_bytes((certificates / "privkey.pem").read_bytes())
    (folder / "privkey.pem").chmod(0o600)
    with running("nginx", f"{stack.name}_front", {}, "--volume", mount, "--user", "4711") as container:
        assert eventually(lambda: exit_code(container), within_s=30) == 1
        last = log_of(container).splitlines()[-1]
        assert "privkey.pem" in last
        assert "Permission denied" in last


def test_a_port_that_is_taken_is_named(images: Project) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        other = replace(images, name=f"{images.name}-port", env={**images.env, "PORT": port, "TLS_PORT": "0"})
        done = other.compose("up", "--detach", "--no-build", "--no-deps", "nginx", check=False)
        output = done.stdout + done.stderr
        other.compose("down", "--volumes")
    assert done.returncode != 0
    assert port in output
    assert "already" in output or "in use" in output
    assert other.leftovers() == []


@pytest.mark.parametrize("role", ["api", "worker", "webhooks", "flower"])
def test_an_unknown_setting_is_named_and_ends_the_start(stack: Project, role: str) -> None:
    with running(role, f"{stack.name}_back", {"SENTIMENT_LOG_LEVELS": "debug"}) as container:
        assert eventually(lambda: exit_code(container), within_s=60) == 1
        assert "did you mean SENTIMENT_LOG_LEVEL?" in log_of(container)
