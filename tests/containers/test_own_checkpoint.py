"""Worker images with a checkpoint of the user: as an int8 pack, or with its own weights for torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from sentiq import Sentiq

from deploy.containers import Project, docker
from local.processes import ROOT
from tests.conftest import eventually
from tests.containers.conftest import TAG, ScoringCaller, running, url

NAME = "compose-test"
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]


@pytest.fixture(scope="module")
def source() -> Iterator[str]:
    """Copy the checkpoint of the embedded pack to models/sources; give its path."""
    directory = ROOT / "models" / "sources" / NAME
    shutil.copytree(ROOT / "models" / "checkpoint", directory, dirs_exist_ok=True)
    yield str(directory.relative_to(ROOT))
    shutil.rmtree(directory)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_a_checkpoint_of_the_user_is_served_by_either_engine(
    stack: Project, source: str, engine: str
) -> None:
    tag = f"{TAG}-{engine}"
    arguments = ("--build-arg", f"MODEL={source}", "--build-arg", f"ENGINE={engine}")
    docker("build", "--file", "Dockerfile.worker", "--tag", f"sentiq-worker:{tag}", *arguments, ".")
    variables = {
        "REDIS_URL": f"redis://worker:{stack.env['REDIS_WORKER_PASSWORD']}@redis:6379/0",
        "SENTIMENT_MODEL_NAME": "sentiq-zh-small",  # beside the embedded pack
    }
    network = f"{stack.name}_back"
    with running("worker", network, variables, "--cpus", "1", tag=tag), ScoringCaller(stack) as caller:
        eventually(lambda: any(model.startswith(f"{NAME}@") for model in caller.models), within_s=120)
        with Sentiq(url(stack)) as client:
            served = {(model["id"], model["engine"]) for model in client.info()["models"]}
    assert (NAME, engine) in served
    assert caller.failed == []
