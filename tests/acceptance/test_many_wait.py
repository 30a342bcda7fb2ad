"""Many waiting requests at one API process: all are woken soon, and delay no other request."""

from __future__ import annotations

from pathlib import Path

from bench.load.long_polls import measure_wake_up
from tests.conftest import started_stack, worker_of


def test_many_waiting_requests_are_woken_soon_and_delay_no_others(tmp_path: Path) -> None:
    with started_stack(tmp_path) as stack:
        worker = worker_of(stack)
        processes = [*worker.children(), worker]
        for process in processes:
            process.suspend()

        def resume() -> None:
            for process in processes:
                process.resume()

        measured = measure_wake_up(stack, 200, 100, resume)
        assert measured["woken_after_s"]["last"] < 3
        assert measured["other_requests_ms"]["median"] < 50
