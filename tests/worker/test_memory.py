"""A child's memory stays flat whatever texts come; `make bench-memory` shows it over 50,000 batches."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_a_thousand_batches_of_random_shapes_leave_memory_flat(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench", "memory", "--batches", "1000", "--json", str(figures)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(figures.read_text("utf-8"))
    assert found["batches"] >= 1000
    assert found["warm_mib"] < found["most_mib"] <= 1.3 * found["warm_mib"]
