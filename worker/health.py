"""`python -m worker.health`: 0 when this container's worker can score now, else 1 and why not.

It reads what the parent reports to the job store every few seconds: so the parent's loop turns, Redis answers
it, and a child is there whose model has scored something.
"""

import sys
from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

from tasks.errors import ConfigurationError, StoreUnavailableError
from tasks.settings import Settings
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import WORKERS
from worker.process.fork_state import host_id


def trouble(reports: Iterable[dict[str, Any]], now_ms: int) -> str:
    """Why the worker that made the reports cannot score; empty when it can."""
    fresh = [report for report in reports if report["until_ms"] > now_ms]
    if not fresh:
        return "its parent does not report"
    return "" if any(report["ready"] for report in fresh) else "no child is ready"


def check(store: JobStore) -> str:
    """Why the worker that runs where this does cannot score; empty when it can."""
    with store_errors():
        written: dict[bytes, bytes] = store.redis.hgetall(WORKERS)
    here = f"{host_id()}/".encode()
    reports = [from_json(report) for name, report in written.items() if name.startswith(here)]
    return trouble(reports, store.now_ms())


def main() -> int:
    """Check once."""
    try:
        found = check(JobStore.connect(Settings.read()))
    except (ConfigurationError, StoreUnavailableError) as error:
        found = str(error)
    if found:
        print(f"worker: {found}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
