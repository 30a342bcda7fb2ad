"""The Celery worker: scores what the job store leases to its children."""

import sys

# Importing openvino or nncf would start a thread that reports to their maker. A program that reads other
# people's texts talks to nobody it was not told to; both do without when the module cannot be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # which is how an import is forbidden
