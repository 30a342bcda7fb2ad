"""The offline rate: the engine alone, a pinned process with one thread on each core, no service around it.

Run as a module this is one of the processes: it answers a line with a line and ends with its standard input.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Self

from tasks.settings import Settings
from worker.engines.factory import build_engine
from worker.packs.pack import load_pack
from worker.scoring.classifier import Classifier


class Offline:
    """One loaded engine for each core; they sleep between runs."""

    def __enter__(self) -> Self:
        """Start the processes and wait until every engine is warm."""
        cores = sorted(os.sched_getaffinity(0))
        self._processes = [_start(core) for core in cores]
        for process in self._processes:
            _answer(process)
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        for process in self._processes:
            process.communicate()

    @property
    def pids(self) -> list[int]:
        """The processes."""
        return [process.pid for process in self._processes]

    def rate(self, texts: Sequence[str]) -> float:
        """Texts a second, all cores together; handing the texts out is not counted."""
        by_length = sorted(texts, key=len)
        for number, process in enumerate(self._processes):
            _ask(process, by_length[number :: len(self._processes)])
            _answer(process)
        start = time.monotonic()
        for process in self._processes:
            _ask(process, "go")
        scored = sum(_answer(process) for process in self._processes)
        return scored / (time.monotonic() - start)


def _start(core: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.load.offline", str(core)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _ask(process: subprocess.Popen[str], question: object) -> None:
    print(json.dumps(question), file=process.stdin, flush=True)


def _answer(process: subprocess.Popen[str]) -> int:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        sys.exit(f"an offline process ended with exit code {process.wait()}")
    return int(line)


def main() -> None:
    """Load, then hold each list of texts that comes in and score it when told to go."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    settings = Settings.read()
    pack = load_pack(settings.pack)
    engine = build_engine(pack, settings.engine, device=settings.device, threads=1)
    classifier = Classifier(pack, engine, batch_tokens=settings.batch_tokens or engine.batch_tokens)
    classifier.warm_up()
    print(0, flush=True)
    texts: list[str] = []
    for line in sys.stdin:
        question: Any = json.loads(line)
        if question == "go":
            print(len(classifier.classify(texts)), flush=True)
        else:
            texts = question
            print(len(texts), flush=True)


if __name__ == "__main__":
    main()
