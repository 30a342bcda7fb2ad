"""A worker image with the pack of a larger model, made during the build, and the change to it under load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from deploy.containers import Project, docker
from local.processes import ROOT
from tests.conftest import eventually
from tests.containers.checkpoints import write_base
from tests.containers.conftest import TAG, WORKERS, ScoringCaller, start, url
from tests.models.hub import MODEL, running_hub

REVISION = "v1"
NAME = "sentiq-zh-small"  # of the former pack: the new one takes its jobs
IMAGE = f"sentiq-worker:{TAG}"
FORMER = f"{IMAGE}-former"
# A stop takes at most as long as a task.
GRACE_S = "90"
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def other(stack: Project, tmp_path: Path) -> Iterator[str]:
    """Build the worker with a model of base size from a local ModelScope; give the name of the model."""
    assert stack.containers("worker")
    docker("tag", IMAGE, FORMER)
    with running_hub(write_base(tmp_path / "base", ROOT / "models" / "embedded" / "vocab.txt")) as hub:
        arguments = {"MODEL": MODEL, "REVISION": REVISION, "MODELSCOPE_ENDPOINT": hub.url}
        options = [part for each in arguments.items() for part in ("--build-arg", "=".join(each))]
        docker("build", "--network", "host", "--file", "Dockerfile.worker", "--tag", IMAGE, *options, ".")
    yield f"{MODEL}@{REVISION}"
    docker("tag", FORMER, IMAGE)
    stack.compose("rm", "--force", "--stop", "worker")
    start(stack)  # later tests expect the embedded pack


def test_a_model_is_changed_under_load_and_each_verdict_names_its_model(stack: Project, other: str) -> None:
    before = stack.containers("worker")
    with ScoringCaller(stack) as caller:
        eventually(lambda: sum(caller.models.values()) >= 160, within_s=60)
        (former,) = caller.models
        more = ("up", "--detach", "--no-build", "--no-deps", "--no-recreate", "--scale")
        stack.compose(*more, f"worker={2 * WORKERS}", "worker", SENTIMENT_MODEL_NAME=NAME)
        eventually(lambda: stack.healthy("worker") == 2 * WORKERS, within_s=120)
        docker("stop", "--time", GRACE_S, *before)
        docker("rm", *before)
        served = caller.models[other]
        eventually(lambda: caller.models[other] >= served + 80, within_s=120)
        last = caller.models[former]
        eventually(lambda: caller.models[other] >= served + 160, within_s=120)
    assert caller.failed == []
    assert (set(caller.models), caller.models[former]) == ({former, other}, last)
    with httpx2.Client(base_url=url(stack), trust_env=False) as http:
        models = eventually(
            lambda: m if len(m := http.get("/v1/info").json()["models"]) == 1 else [], within_s=60
        )
    assert f"{models[0]['id']}@{models[0]['revision']}" == other
