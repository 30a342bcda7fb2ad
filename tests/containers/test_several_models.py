"""Three models: in one container with `PACKS`, and with a service for each (deploy/compose/models.yml)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP

import pytest
from sentiq import Sentiq

from deploy.containers import Project, docker
from tests.conftest import eventually
from tests.containers.conftest import exit_code, log_of, probe, running, url
from tests.several_models import assert_right, finish_beside, submit_texts, write_packs
from worker.packs.pack import Pack

OTHERS = ("polarity", "emotions")  # as the compose file names them
SERVICES = tuple(f"worker-{name}" for name in OTHERS)
FILES = ("--file", "docker-compose.yml", "--file", "deploy/compose/models.yml")
GRACE_S = "90"
SEND = Path(__file__).with_name("send_signal.py").read_text("utf-8")
pytestmark = pytest.mark.timeout(900)


def send(container: str, signum: int, depth: int, word: str = "") -> int:
    """Send a signal to processes of a container; return their number (send_signal.py)."""
    return int(docker("exec", container, "python", "-c", SEND, str(signum), str(depth), word))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that the user of a container may read."""
    folder = tmp_path_factory.mktemp("packs")
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def packs(folder: Path) -> Mapping[str, Pack]:
    return write_packs(folder, "reviews", *OTHERS)


def retire(stack: Project, *names: str) -> None:
    """Remove models, as docs/operations.md does; jobs of later tests name none."""
    for name in names:
        stack.compose("exec", "-T", "api", "python", "-m", "tasks", "models", "retire", name)


@pytest.fixture
def container(stack: Project, packs: Mapping[str, Pack], folder: Path) -> Iterator[str]:
    """Run one container that serves all packs; wait until it is healthy."""
    variables = {
        "REDIS_URL": f"redis://worker:{stack.env['REDIS_WORKER_PASSWORD']}@redis:6379/0",
        "PACKS": ",".join(["reviews=/pack", *(f"{name}=/packs/{name}" for name in OTHERS)]),
        "SENTIMENT_CACHE_ROWS": "0",
    }
    mount = ("--volume", f"{folder}:/packs:ro")
    with running("worker", f"{stack.name}_back", variables, *mount) as container:
        eventually(lambda: probe(container, "worker").returncode == 0, within_s=120)
        yield container
    retire(stack, *packs)


@pytest.fixture
def services(stack: Project, packs: Mapping[str, Pack], folder: Path) -> Iterator[Mapping[str, Pack]]:
    """Start a service for each further model; return the packs of all models."""
    stack.compose(*FILES, "up", "--detach", "--no-build", "--no-deps", *SERVICES, PACKS_DIR=str(folder))
    eventually(lambda: all(stack.healthy(service) for service in SERVICES), within_s=120)
    yield {"sentiq-zh-small": packs["reviews"]} | {name: packs[name] for name in OTHERS}
    stack.compose(*FILES, "rm", "--force", "--stop", *SERVICES)
    retire(stack, *OTHERS)


def test_a_container_with_several_packs_serves_each_and_stops_in_its_grace(
    stack: Project, container: str, packs: Mapping[str, Pack]
) -> None:
    with Sentiq(url(stack)) as client:
        jobs = submit_texts(client, packs)
        assert send(container, SIGKILL, 2) == len(packs), "a child for each pack"
        assert_right(client, jobs, packs)
        assert send(container, SIGSTOP, 2, "emotions-") == 1
        waiting = finish_beside(client, packs, "emotions")
        assert send(container, SIGCONT, 2, "emotions-") == 1
        assert_right(client, {"emotions": waiting}, packs)
    docker("stop", "--time", GRACE_S, container)
    assert exit_code(container) == 0
    assert log_of(container).count("worker: Warm shutdown (MainProcess)") == len(packs)


def test_a_container_is_unhealthy_without_one_of_its_packs_and_ends_when_that_is_final(
    container: str,
) -> None:
    def complaint() -> str:
        return probe(container, "worker").stderr.strip()

    assert send(container, SIGSTOP, 1, "polarity-") == 1
    eventually(lambda: complaint() == "worker: polarity: its parent does not report", within_s=60)
    send(container, SIGCONT, 1, "polarity-")
    eventually(lambda: complaint() == "", within_s=60)
    send(container, SIGKILL, 1, "polarity-")
    assert eventually(lambda: exit_code(container), within_s=60) == SIGKILL
    assert "worker: the parent of polarity was killed by SIGKILL: stopping all" in log_of(container)


def test_a_service_for_each_model_gives_every_item_the_verdict_of_its_own(
    stack: Project, services: Mapping[str, Pack]
) -> None:
    with Sentiq(url(stack)) as client:
        assert set(services) <= {model["name"] for model in client.info()["models"]}
        jobs = submit_texts(client, services)
        for service in ("worker", *SERVICES):
            assert send(stack.containers(service)[0], SIGKILL, 1) == 1, "WORKER_CPUS is 1: one child"
        assert_right(client, jobs, services)
        emotions = stack.containers(SERVICES[1])[0]
        assert send(emotions, SIGSTOP, 1) == 1
        waiting = finish_beside(client, services, "emotions")
        assert send(emotions, SIGCONT, 1) == 1
        assert_right(client, {"emotions": waiting}, services)
    eventually(lambda: all(stack.healthy(service) for service in SERVICES), within_s=60)
