"""The stock pipeline: a client for `pipeline.py`, which runs in the environment of `make parity`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]
_PYTHON = ROOT / ".run" / "parity" / "bin" / "python"
_SCRIPT = Path(__file__).with_name("pipeline.py")


Text = str | tuple[str, str]


class StockError(Exception):
    """The process of the stock pipeline ended. The message names its log."""


class StockPipeline:
    """A loaded pipeline in a process of its own. `versions` maps its libraries to their versions."""

    def __init__(self, checkpoint: Path, *, max_tokens: int, threads: int, log: Path) -> None:
        """Prepare the process; its standard error goes to `log`."""
        # -P keeps the modules beside the script from being imported in that environment.
        options = [f"--max-tokens={max_tokens}", f"--threads={threads}"]
        self._command: list[str | Path] = [_PYTHON, "-P", _SCRIPT, checkpoint, *options]
        self._log = log

    def __enter__(self) -> Self:
        """Start the process and wait until the pipeline is loaded. Raises StockError."""
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
        """Kill the process."""
        self._process.kill()
        self._process.communicate()

    def scores(self, texts: Sequence[Text]) -> list[list[float]]:
        """Return the probabilities of each text or pair in label order. Raises StockError."""
        scores: list[list[float]] = self._request({"scores": texts})
        return scores

    def ids(self, texts: Sequence[Text]) -> list[list[list[int]]]:
        """Return the token ids and segment ids of each text or pair without truncation. Raises StockError."""
        ids: list[list[list[int]]] = self._request({"ids": texts})
        return ids

    def _request(self, request: dict[str, Sequence[Text]]) -> Any:
        if self._process.stdin is None:
            raise StockError("the stock pipeline was started without a standard input")
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> Any:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise StockError(
                f"the stock pipeline ended with exit code {self._process.wait()}: see {self._log}"
            )
        return json.loads(line)
