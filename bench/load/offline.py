"""Offline load: the engine without a service, one pinned process with one thread on each core.

Run as a module, this file is one of those processes: it answers each line of standard input with a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Self

from bench.program import BenchError
from tasks.settings import Settings
from worker.engines.factory import build_engine
from worker.packs.pack import load_pack
from worker.scoring.classifier import Classifier


class Offline:
    """One loaded engine for each core; the processes sleep between runs."""

    def __enter__(self) -> Self:
        """Start the processes and wait until every engine is warm. Raise BenchError if one ends."""
        cores = sorted(os.sched_getaffinity(0))
        self._processes = [_start(core) for core in cores]
        for process in self._processes:
            _read_count(process)
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        for process in self._processes:
            process.communicate()

    @property
    def pids(self) -> list[int]:
        """The process ids."""
        return [process.pid for process in self._processes]

    def rate(self, texts: Sequence[str]) -> float:
        """Return texts per second of all cores together, without the time that the texts take to arrive."""
        by_length = sorted(texts, key=len)
        for number, process in enumerate(self._processes):
            _send(process, by_length[number :: len(self._processes)])
            _read_count(process)
        start = time.monotonic()
        for process in self._processes:
            _send(process, "go")
        scored = sum(_read_count(process) for process in self._processes)
        return scored / (time.monotonic() - start)


def _start(core: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.load.offline", str(core)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _send(process: subprocess.Popen[str], message: object) -> None:
    print(json.dumps(message), file=process.stdin, flush=True)


def _read_count(process: subprocess.Popen[str]) -> int:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise BenchError(f"an offline process ended with exit code {process.wait()}")
    return int(line)


def main() -> None:
    """Load an engine; keep each list of texts that arrives, and score it on "go"."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    classifier = _classifier()
    classifier.warm_up()
    print(0, flush=True)
    texts: list[str] = []
    for line in sys.stdin:
        message: Any = json.loads(line)
        if message == "go":
            print(len(classifier.classify(texts)), flush=True)
        else:
            texts = message
            print(len(texts), flush=True)


def _classifier() -> Classifier:
    """Return the classifier of the configured pack, with one thread."""
    settings = Settings.read()
    pack = load_pack(settings.pack)
    engine = build_engine(pack, settings.engine, device=settings.device, threads=1)
    return Classifier(pack, engine, batch_tokens=settings.batch_tokens or engine.batch_tokens)


if __name__ == "__main__":
    main()
