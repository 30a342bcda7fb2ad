"""`CONTAINERS=required` without an engine or an image: one line, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deploy.images import base_images
from local.processes import ROOT

# Answers as an engine that has no image and reaches no registry.
ENGINE = '#!/bin/sh\ncase "$1" in image | pull) echo "no route to the registry" >&2; exit 1 ;; esac\n'


def required(path: Path) -> list[str]:
    """Run the container tests with this PATH; return the lines of stderr."""
    env = os.environ | {"CONTAINERS": "required", "PATH": str(path)}
    command = [sys.executable, "-m", "pytest", "tests/containers"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr.splitlines()


def test_a_missing_engine_is_named_in_the_first_line(tmp_path: Path) -> None:
    assert required(tmp_path)[0] == "ERROR: docker is not on PATH"


def test_a_missing_image_is_named_in_the_first_line(tmp_path: Path) -> None:
    engine = tmp_path / "docker"
    engine.write_text(ENGINE, "utf-8")
    engine.chmod(0o755)
    first = next(image for image in base_images() if not image.startswith("grafana"))
    assert required(tmp_path)[0] == f"ERROR: the image {first} cannot be pulled"
