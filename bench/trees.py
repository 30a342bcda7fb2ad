"""This tree of the project beside that of an earlier commit, so that a benchmark can run both."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.program import BenchError
from local.processes import ROOT

THIS_TREE = "this tree"


@contextmanager
def trees(commit: str | None) -> Iterator[dict[str, Path]]:
    """Give this tree, and before it that of a commit while the context lasts; BenchError if there is none."""
    if commit is None:
        yield {THIS_TREE: ROOT}
        return
    with tempfile.TemporaryDirectory() as folder:
        git, tree = ["git", "-C", str(ROOT), "worktree"], Path(folder) / "tree"
        try:
            subprocess.run([*git, "add", "--detach", str(tree), commit], capture_output=True, check=True)
        except subprocess.CalledProcessError as error:
            raise BenchError(f"no tree of {commit}: {error.stderr.decode()}") from None
        try:
            yield {commit[:12]: tree, THIS_TREE: ROOT}
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], capture_output=True, check=True)
