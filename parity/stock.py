"""The stock pipeline, run in the environment that `make parity` builds for it."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from local.processes import ROOT

_PYTHON = ROOT / ".run" / "parity" / "bin" / "python"
_SCRIPT = Path(__file__).with_name("pipeline.py")


class StockError(Exception):
    """The stock pipeline ended; the message says where its last words are."""


class Stock:
    """One loaded pipeline in a process of its own; `versions` are those of its environment."""

    def __init__(self, checkpoint: Path, *, max_tokens: int, threads: int, log: Path) -> None:
        """`log` takes what the process has to say besides its answers."""
        # -P: the modules beside the script are not for that environment.
        options = [f"--max-tokens={max_tokens}", f"--threads={threads}"]
        self._command: list[str | Path] = [_PYTHON, "-P", _SCRIPT, checkpoint, *options]
        self._log = log

    def __enter__(self) -> Self:
        """Start it and wait until it is loaded."""
        with self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONUTF8": "1"},
            )
        self.versions: dict[str, str] = self._read()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def scores(self, texts: Sequence[str]) -> list[float]:
        """Probability of positive of each text. Raises StockError."""
        scores: list[float] = self._ask({"scores": texts})
        return scores

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, cut nowhere. Raises StockError."""
        ids: list[list[int]] = self._ask({"ids": texts})
        return ids

    def _ask(self, question: dict[str, Sequence[str]]) -> Any:
        if self._process.stdin is None:
            raise StockError("the stock pipeline was started without a standard input")
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> Any:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise StockError(
                f"the stock pipeline ended with exit code {self._process.wait()}: see {self._log}"
            )
        return json.loads(line)
