"""The priority of a worker's children beside the API and Redis."""

from __future__ import annotations

import psutil

from local.stack import Stack
from tests.conftest import eventually, worker_of
from worker.process.child_starter import NICENESS

LOWEST = 19


def test_children_are_nicer_than_their_parent_the_api_and_redis(live: Stack) -> None:
    parent = worker_of(live)
    others = [psutil.Process(each.pid).nice() for each in live.processes if each.name in ("api", "redis")]
    assert [parent.nice(), *others] == [parent.nice()] * 3
    children = eventually(parent.children)
    expected = min(LOWEST, parent.nice() + NICENESS)
    eventually(lambda: {child.nice() for child in children if child.is_running()} == {expected})
