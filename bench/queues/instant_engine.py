"""Settings that put an engine that answers at once into a stack."""

from __future__ import annotations

import os

from local.processes import ROOT

_FOLDER = ROOT / "bench" / "queues" / "instant"


def instant_engine() -> dict[str, str]:
    """Return the variables that have each Python program load `instant/sitecustomize.py`."""
    return {"PYTHONPATH": f"{_FOLDER}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
