"""The Celery worker: scores what the job store leases to its children."""

import sys

# Importing openvino or nncf starts a thread that sends usage data to their maker. This program reads other
# people's texts and sends nothing. Both libraries work without telemetry when its module cannot be imported.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # None makes the import fail
