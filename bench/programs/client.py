"""Compare `sentiq score` with the rate of jobs alone, and measure its memory over a million rows."""

from __future__ import annotations

import os
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from sentiq import Sentiq

from bench.load.command import Scored, score, write_table
from bench.load.end_to_end import run_jobs
from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.program import Program, Report, as_json
from bench.report import environment, spread, verdict
from bench.texts import add_text_arguments, texts_name, texts_of_round
from local.logs import Log
from local.ports import free_port
from local.stack import Plan, running_stack
from samples.composed import composed_texts
from samples.shipped import read_reviews

_MAX_GROWTH_MB = 80
_WARM_UP_TEXTS = 2000
_MEMORY_TEXTS, _MAX_TEXT_CHARS = 50, 40


def _add_arguments(parser: ArgumentParser) -> None:
    add_text_arguments(parser, count=20_000, seed=20260101)
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs (%(default)s)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows for the memory (%(default)s)")


def _run(options: Namespace, log: Log) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        rates = _rates(options, log, Path(folder))
        memory = {
            suffix: _memory(options.rows, log, Path(folder, f"in{suffix}")) for suffix in (".csv", ".parquet")
        }
    figures: dict[str, Any] = environment() | {"texts": texts_name(options), "load_average": os.getloadavg()}
    figures |= rates | {
        f"memory{suffix.replace('.', '_')}": vars(run) | {"growth_mb": run.growth_mb}
        for suffix, run in memory.items()
    }
    holds = all(run.growth_mb <= _MAX_GROWTH_MB for run in memory.values())
    bound = f"memory above the imports of at most {_MAX_GROWTH_MB} MB over {options.rows:,} rows"
    return Report(figures, f"{as_json(figures)}\n{bound}: {verdict(holds)}", holds=holds)


def _rates(options: Namespace, log: Log, folder: Path) -> dict[str, Any]:
    """Return the texts per second of the command, of jobs of a thousand, and their share pair by pair."""
    os.environ.update(LOAD_TEST_SETTINGS)
    with running_stack(Plan(free_port()), log) as stack, Sentiq(stack.url) as client:
        stack.await_api(client)
        run_jobs(stack.url, composed_texts(min(options.count, _WARM_UP_TEXTS), seed=0))
        pairs = []
        for pair in range(options.pairs):
            texts = texts_of_round(options, pair)
            jobs = run_jobs(stack.url, texts).rate
            write_table(folder / "in.csv", texts, len(texts))
            command = len(texts) / score(stack.url, folder / "in.csv").seconds
            print(f"jobs {jobs:6.0f}  command {command:6.0f} texts/s", flush=True)
            pairs.append((jobs, command))
    return {
        "jobs_rate": spread([jobs for jobs, _ in pairs]),
        "command_rate": spread([command for _, command in pairs]),
        "share": spread([command / jobs for jobs, command in pairs]),
    }


def _memory(rows: int, log: Log, path: Path) -> Scored:
    """Score a large table of a few texts, which the service remembers: the model costs next to nothing."""
    os.environ.update(LOAD_TEST_SETTINGS | {"SENTIMENT_CACHE_ROWS": "1000"})
    texts = [review.text for review in read_reviews() if len(review.text) <= _MAX_TEXT_CHARS][:_MEMORY_TEXTS]
    write_table(path, texts, rows)
    with running_stack(Plan(free_port()), log) as stack, Sentiq(stack.url) as client:
        stack.await_api(client)
        stack.score(client, texts[0])
        run = score(stack.url, path)
    print(f"{path.suffix}: {run.growth_mb} MB above the imports, {run.seconds} s", flush=True)
    return run


PROGRAM = Program(_add_arguments, _run)
