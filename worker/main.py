"""Entry point of the worker: `celery -A worker.main worker`."""

from __future__ import annotations

import sys

from tasks.errors import ConfigurationError
from tasks.settings import Settings
from worker.process.wiring import build_worker

try:
    app = build_worker(Settings.read())
except ConfigurationError as error:
    sys.exit(f"worker: {error}")
