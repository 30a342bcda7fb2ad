"""Images with a checkpoint of one's own: its pack in int8, or its weights as they are, for torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from deploy.containers import Project, docker
from local.client import Client
from local.processes import ROOT
from tests.conftest import eventually
from tests.containers.conftest import TAG, Asker, running, url

NAME = "compose-test"
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]


@pytest.fixture(scope="module")
def source() -> Iterator[str]:
    """The embedded pack's checkpoint, where the Dockerfile looks for one of ours."""
    directory = ROOT / "models" / "sources" / NAME
    shutil.copytree(ROOT / "models" / "checkpoint", directory, dirs_exist_ok=True)
    yield str(directory.relative_to(ROOT))
    shutil.rmtree(directory)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_a_checkpoint_of_ours_is_served_by_either_engine(stack: Project, source: str, engine: str) -> None:
    tag = f"{TAG}-{engine}"
    arguments = ("--build-arg", f"MODEL={source}", "--build-arg", f"ENGINE={engine}")
    docker("build", "--file", "Dockerfile.worker", "--tag", f"sentiq-worker:{tag}", *arguments, ".")
    variables = {"REDIS_URL": f"redis://worker:{stack.env['REDIS_WORKER_PASSWORD']}@redis:6379/0"}
    network = f"{stack.name}_back"
    with running("worker", network, variables, "--cpus", "1", tag=tag), Asker(stack) as caller:
        eventually(lambda: any(model.startswith(f"{NAME}@") for model in caller.models), within_s=120)
        with Client(url(stack)) as client:
            served = {(model["id"], model["engine"]) for model in client.info()["models"]}
    assert (NAME, engine) in served
    assert caller.failed == []
