"""The layer of Dockerfile.worker that downloads a checkpoint, without a Docker engine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from local.processes import ROOT


def test_the_layer_that_downloads_a_checkpoint_has_what_its_command_imports(tmp_path: Path) -> None:
    """It copies single files, so that a change of others does not repeat the download."""
    text = (ROOT / "Dockerfile.worker").read_text("utf-8")
    before = text[text.index(" AS pack\n") : text.index("import download")]
    for line in re.findall(r"^COPY (tasks/.*|worker/.*)$", before, re.MULTILINE):
        *sources, folder = line.split()
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for source in sources:
            shutil.copy(ROOT / source, tmp_path / folder)
    command = "from worker.packing.modelscope import download; print(download.__module__)"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "worker.packing.modelscope\n", done.stderr
