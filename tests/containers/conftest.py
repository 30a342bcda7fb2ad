"""The images, built once, and one stack of them with two workers, which goes through everything.

Without an engine these tests are skipped, unless one was promised: CONTAINERS=required.
"""

from __future__ import annotations

import os
import secrets
import ssl
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx2
import pytest
import trustme

from deploy.containers import Project, docker, missing
from local.client import Client
from local.ports import free_port
from samples.composed import composed_texts
from tests.conftest import eventually

TAG = "test"
SERVICES = ("nginx", "api", "worker", "webhooks", "redis", "flower")
LOGIN = ("ops", secrets.token_urlsafe(9))
WORKERS = 2


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    if reason := missing():
        give_up = pytest.fail if os.environ.get("CONTAINERS") == "required" else pytest.skip
        give_up(reason)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Settings of its own: free ports, passwords of this run."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "env").touch()
    roles = ("ADMIN", "API", "WORKER", "WEBHOOKS", "FLOWER")
    env = {f"REDIS_{role}_PASSWORD": secrets.token_urlsafe(18) for role in roles}
    ports = {f"{name}PORT": str(free_port()) for name in ("", "TLS_", "PROMETHEUS_", "GRAFANA_")}
    env |= ports | {"TAG": TAG, "FLOWER_LOGIN": ":".join(LOGIN), "WORKER_CPUS": "1"}
    env |= {"TLS_DIR": str(_certificates(folder / "tls", given=False)), "SENTIMENT_CACHE_ROWS": "0"}
    return Project(f"sentiq-test-{os.getpid()}", folder / "env", env)


def _certificates(folder: Path, *, given: bool) -> Path:
    folder.mkdir()
    folder.chmod(0o755)
    if given:
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
    return _certificates(tmp_path_factory.mktemp("certificates") / "tls", given=True)


@pytest.fixture(scope="session")
def images(project: Project) -> Project:
    project.compose("build")
    return project


@pytest.fixture(scope="session")
def stack(images: Project) -> Iterator[Project]:
    """Everything but monitoring, with two workers; afterwards nothing of it may be left."""
    start(images)
    yield images
    images.compose("--profile", "monitoring", "down", "--volumes", "--timeout", "20")
    assert images.left() == []


def start(project: Project) -> None:
    """Bring up what is down, and wait until it scores."""
    project.compose("up", "--detach", "--no-build", "--scale", f"worker={WORKERS}", *SERVICES)
    eventually(lambda: project.healthy("worker") == WORKERS, within_s=120)
    with Client(url(project)) as client:
        eventually(client.ready, within_s=60)


def url(project: Project) -> str:
    return f"http://127.0.0.1:{project.env['PORT']}"


@pytest.fixture(params=["plain", "tls"], scope="module")
def site(request: pytest.FixtureRequest, stack: Project, certificates: Path) -> Iterator[httpx2.Client]:
    """A client of nginx, without TLS and with it."""
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
    """A client that calls from a thread of its own until the context ends; `_run` is what it does."""

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


class Asker(Caller):
    """Asks again and again for verdicts on a few texts at once; keeps what was not answered well."""

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
    """A container of an image, hardened as compose has it; its id."""
    given = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    hardened = (
        "--read-only",
        "--tmpfs",
        "/tmp",  # noqa: S108  in a container
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges:true",
    )
    image = f"sentiq-{role}:{tag}"
    container = docker("run", "--detach", "--network", network, *hardened, *given, *options, image)
    try:
        yield container
    finally:
        docker("rm", "--force", container)


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx2.TransportError:
        return False
