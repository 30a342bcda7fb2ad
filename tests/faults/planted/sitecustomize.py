"""Plants a defect into each Python program that has this folder on PYTHONPATH; no program knows of it."""

from __future__ import annotations

import importlib
import os

importlib.import_module("defects").plant(os.environ.get("PLANTED_DEFECT", ""))
