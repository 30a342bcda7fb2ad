"""An image that holds the pack of another model, made while it was built, and the change to it under load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx2
import pytest

from bench.texts import composed_texts
from ops.containers import Project, docker
from ops.processes import ROOT
from tests.conftest import eventually
from tests.containers.conftest import TAG, WORKERS, Caller, url
from tests.models.hub import MODEL, running_hub

REVISION = "v1"
IMAGE = f"sentiq-worker:{TAG}"
FORMER = f"{IMAGE}-former"
# A stop may take as long as a task.
GRACE_S = "90"
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def other(stack: Project) -> Iterator[str]:
    """Build the worker with a model of a stand-in of ModelScope; the name of what it serves."""
    assert stack.containers("worker")
    docker("tag", IMAGE, FORMER)
    with running_hub(ROOT / "models" / "checkpoint") as hub:
        arguments = {"MODEL": MODEL, "REVISION": REVISION, "MODELSCOPE_ENDPOINT": hub.url}
        options = [part for each in arguments.items() for part in ("--build-arg", "=".join(each))]
        docker("build", "--network", "host", "--file", "Dockerfile.worker", "--tag", IMAGE, *options, ".")
    yield f"{MODEL}@{REVISION}"
    docker("tag", FORMER, IMAGE)


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


def test_a_model_is_changed_under_load_and_each_verdict_names_its_own(stack: Project, other: str) -> None:
    before = stack.containers("worker")
    with Asker(stack) as caller:
        eventually(lambda: sum(caller.models.values()) >= 160, within_s=60)
        (former,) = caller.models
        more = ("up", "--detach", "--no-build", "--no-deps", "--no-recreate", "--scale")
        stack.compose(*more, f"worker={2 * WORKERS}", "worker")
        eventually(lambda: stack.healthy("worker") == 2 * WORKERS, within_s=120)
        docker("stop", "--time", GRACE_S, *before)
        docker("rm", *before)
        served = caller.models[other]
        eventually(lambda: caller.models[other] >= served + 320, within_s=60)
        last = caller.models[former]
        eventually(lambda: caller.models[other] >= served + 640, within_s=60)
    assert caller.failed == []
    assert (set(caller.models), caller.models[former]) == ({former, other}, last)
    with httpx2.Client(base_url=url(stack), trust_env=False) as http:
        found = eventually(
            lambda: m if len(m := http.get("/v1/info").json()["models"]) == 1 else [], within_s=60
        )
    assert f"{found[0]['id']}@{found[0]['revision']}" == other
