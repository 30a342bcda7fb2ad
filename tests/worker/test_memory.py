"""A child's memory stays flat over batches of any shape; `make bench-memory` runs 50,000 of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_thousand_batches_of_random_shapes_leave_memory_flat(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "bench", "memory", "--batches", "1000", "--json", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert report.is_file(), done.stdout + done.stderr
    measured = json.loads(report.read_text("utf-8"))
    assert measured["batches"] >= 1000
    assert measured["warm_mib"] < measured["most_mib"] <= 1.5 * measured["warm_mib"]
    # Each new shape costs memory once, how much depends on the processor; what comes later would be a leak.
    assert measured["later_growth"] <= 1.1
