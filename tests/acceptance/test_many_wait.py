"""A crowd at one API process: all are woken soon, and nobody else waits for it."""

from __future__ import annotations

from pathlib import Path

from bench.load.long_polls import measure_wake_up
from tests.conftest import started_stack, worker_of


def test_a_crowd_is_woken_soon_and_other_requests_are_answered_meanwhile(tmp_path: Path) -> None:
    with started_stack(tmp_path) as stack:
        worker = worker_of(stack)
        processes = [*worker.children(), worker]
        for process in processes:
            process.suspend()

        def resume() -> None:
            for process in processes:
                process.resume()

        seen = measure_wake_up(stack, 200, 100, resume)
        assert seen["woken_after_s"]["last"] < 1
        assert seen["other_requests_ms"]["median"] < 50
