"""The images, built once, and one stack with two workers for all tests.

Without a Docker engine or a base image these tests are skipped; with CONTAINERS=required pytest ends and says
which is missing.
"""

from __future__ import annotations

import os
import secrets
import ssl
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Self

import httpx2
import pytest
import trustme
from sentiq import Sentiq

from deploy.containers import Done, Project, docker, missing, run
from deploy.images import digests, missing_image
from local.ports import free_port
from samples.composed import composed_texts
from tests.conftest import eventually

TAG = "test"
SERVICES = ("nginx", "api", "worker", "webhooks", "redis", "flower")
LOGIN = ("ops", secrets.token_urlsafe(9))
WORKERS = 2
PROBES = {
    "api": ("python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz')"),
    "worker": ("python", "-m", "worker.health"),
    "webhooks": ("python", "-m", "webhooks", "check"),
}


@cache
def lacking() -> str:
    """Return why these tests cannot run here; empty if they can."""
    return missing() or missing_image()


def pytest_configure() -> None:
    """Raise UsageError, which pytest prints in one line, if the tests are required and cannot run."""
    if os.environ.get("CONTAINERS") == "required" and lacking():
        raise pytest.UsageError(lacking())


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    if lacking():
        pytest.skip(lacking())


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with free ports and passwords of its own."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "env").touch()
    roles = ("ADMIN", "API", "WORKER", "WEBHOOKS", "FLOWER")
    env = {f"REDIS_{role}_PASSWORD": secrets.token_urlsafe(18) for role in roles}
    ports = {f"{name}PORT": str(free_port()) for name in ("", "TLS_", "PROMETHEUS_", "GRAFANA_")}
    env |= ports | {"TAG": TAG, "FLOWER_LOGIN": ":".join(LOGIN), "WORKER_CPUS": "1"}
    env |= {"TLS_DIR": str(_certificates(folder / "tls", with_files=False)), "SENTIMENT_CACHE_ROWS": "0"}
    env |= digests()
    return Project(f"sentiq-test-{os.getpid()}", folder / "env", env)


def _certificates(folder: Path, *, with_files: bool) -> Path:
    folder.mkdir()
    folder.chmod(0o755)
    if with_files:
        authority = trustme.CA()
        server = authority.issue_cert("localhost", "127.0.0.1")
        (folder / "authority.pem").write_bytes(authority.cert_pem.bytes())
        chain = b"".join(each.bytes() for each in server.cert_chain_pems)
        (folder / "fullchain.pem").write_bytes(chain)
        (folder / "privkey.pem").write_bytes(server.private_key_pem.bytes())
        (folder / "privkey.pem").chmod(0o644)
    return folder


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _certificates(tmp_path_factory.mktemp("certificates") / "tls", with_files=True)


@pytest.fixture(scope="session")
def images(project: Project) -> Project:
    project.compose("build")
    return project


@pytest.fixture(scope="session")
def stack(images: Project) -> Iterator[Project]:
    """Run all services but monitoring, with two workers; check that nothing is left afterwards."""
    start(images)
    yield images
    images.compose("--profile", "monitoring", "down", "--volumes", "--timeout", "20")
    assert images.leftovers() == []


def start(project: Project) -> None:
    """Start the services that are down, and wait until the stack is ready."""
    project.compose("up", "--detach", "--no-build", "--scale", f"worker={WORKERS}", *SERVICES)
    eventually(lambda: project.healthy("worker") == WORKERS, within_s=120)
    with Sentiq(url(project)) as client:
        eventually(client.ready, within_s=60)


def url(project: Project) -> str:
    return f"http://127.0.0.1:{project.env['PORT']}"


@pytest.fixture(params=["plain", "tls"], scope="module")
def site(request: pytest.FixtureRequest, stack: Project, certificates: Path) -> Iterator[httpx2.Client]:
    """Return a client of nginx, once without TLS and once with it."""
    again = ("up", "--detach", "--no-build", "--no-deps", "nginx")
    if request.param == "plain":
        client = httpx2.Client(base_url=url(stack), timeout=60, trust_env=False)
    else:
        stack.compose(*again, TLS_DIR=str(certificates))
        trusted = ssl.create_default_context(cafile=str(certificates / "authority.pem"))
        base = f"https://localhost:{stack.env['TLS_PORT']}"
        client = httpx2.Client(base_url=base, verify=trusted, timeout=60, trust_env=False)
    with client:
        eventually(lambda: answers(client), within_s=60)
        yield client
    if request.param == "tls":
        stack.compose(*again)
        with httpx2.Client(base_url=url(stack), trust_env=False) as plain:
            eventually(lambda: answers(plain), within_s=60)


class Caller:
    """A client that runs `_run` in a thread until the context ends."""

    def __init__(self, project: Project) -> None:
        self._http = httpx2.Client(base_url=url(project), timeout=60, trust_env=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self._http.close()

    def _run(self) -> None:
        raise NotImplementedError


class ScoringCaller(Caller):
    """Scores the same 16 texts repeatedly; counts the models and keeps failed responses."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.models: Counter[str] = Counter()
        self.failed: list[str] = []

    def _run(self) -> None:
        items = [{"text": text} for text in composed_texts(16, seed=7)]
        while not self._stop.wait(0.05):
            answer = self._http.post("/v1/jobs", json={"items": items}, headers={"Prefer": "wait=30"})
            done = answer.json()
            if answer.status_code == 200 and done["status"] == "succeeded":
                self.models.update(item["model"] for item in done["results"])
            else:
                self.failed.append(answer.text)


@contextmanager
def running(
    role: str, network: str, variables: Mapping[str, str], *options: str, tag: str = TAG
) -> Iterator[str]:
    """Run a container with the restrictions of docker-compose.yml; give its id."""
    env_options = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    restrictions = (
        "--read-only",
        "--tmpfs",
        "/tmp",  # noqa: S108  in a container
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges:true",
    )
    image = f"sentiq-{role}:{tag}"
    container = docker("run", "--detach", "--network", network, *restrictions, *env_options, *options, image)
    try:
        yield container
    finally:
        docker("rm", "--force", container)


def log_of(container: str) -> str:
    done = run(["docker", "logs", container])
    return done.stdout + done.stderr


def exit_code(container: str) -> int | None:
    """Return the exit code; None while the container runs."""
    state, code = docker("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", container).split()
    return int(code) if state == "exited" else None


def probe(container: str, role: str) -> Done:
    """Run the probe of the image now."""
    return run(["docker", "exec", container, *PROBES[role]], check=False)


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx2.TransportError:
        return False
