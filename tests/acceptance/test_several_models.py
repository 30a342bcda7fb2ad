"""Three models on one service, as `make up` runs them: right labels for every item, whatever dies."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from local.client import Client
from local.processes import ProcessDiedError
from tests.conftest import eventually, started_stack, worker_of
from tests.several_models import assert_right, submit_backlog, submit_texts, write_packs


@pytest.mark.timeout(300)
def test_three_models_serve_at_once_and_survive_the_death_of_children(tmp_path: Path) -> None:
    packs = write_packs(tmp_path, "two", "three", "seven")
    given = ",".join(f"{name}={pack.directory}" for name, pack in packs.items())
    with started_stack(tmp_path, PACKS=given) as stack, Client(stack.url) as client:
        eventually(lambda: {model["name"] for model in client.info()["models"]} == set(packs), within_s=120)
        jobs = submit_texts(client, packs)
        backlog = submit_backlog(client, "seven")
        parents = worker_of(stack).children()
        assert len(parents) == len(packs)
        killed = [kill_child(parent) for parent in parents]
        assert_right(client, jobs, packs)
        assert client.job(backlog)["counts"]["pending"], "a slow model holds up no other"
        assert all(child not in parent.children() for child, parent in zip(killed, parents, strict=True))
        assert all(len(parent.children()) == 1 for parent in parents), "a new child for each that was killed"
        family = worker_of(stack).children(recursive=True)
        next(parent for parent in parents if "--hostname=three-" in " ".join(parent.cmdline())).kill()
        with pytest.raises(ProcessDiedError, match="the parent of three was killed by SIGKILL: stopping all"):
            eventually(stack.check, within_s=60)
        _, alive = psutil.wait_procs(family, timeout=10)
        assert alive == []


def kill_child(parent: psutil.Process) -> psutil.Process:
    """Kill a child of a Celery parent; return it."""
    child: psutil.Process = parent.children()[0]
    child.kill()
    return child
