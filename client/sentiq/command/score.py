"""`sentiq score`: a table in, the same table with verdicts out; the same command goes on after a cut."""

from __future__ import annotations

import json
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from sentiq.client import Sentiq
from sentiq.command.exits import INTERRUPTED, OK, SOME_FAILED, InputError, UsageError
from sentiq.command.joining import CHANGED, join, write_file
from sentiq.command.progress import Bar
from sentiq.command.run import Run
from sentiq.command.scoring import Scoring, cancel
from sentiq.command.signals import wants_cancel
from sentiq.command.state import Places, State
from sentiq.command.summary import Summary
from sentiq.tables.formats import Output, format_of, open_table
from sentiq.tables.source import Source
from sentiq.tables.table import ADDED, Names, Table, Target, Wanted, shown

_STDIO = "-"


@dataclass(frozen=True)
class Task:
    """What is scored, and where it goes. `path` is None for standard output."""

    source: Source
    table: Table
    output: Output
    path: Path | None
    settings: dict[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """Return what the input is, so that a change of it is seen."""
        return dict(self.source.identity())


def score(options: Namespace, client: Sentiq, argv: Sequence[str], console: Console) -> int:
    """Score a table; return the exit code. Raises CommandError, TableError and SentiqError."""
    task = _task(options, client)
    identity = task.identity
    run = Run(_places(task, identity))
    try:
        _begin(options, task, identity, run, client)
        console.print(
            f"{task.source.name}: {task.table.about}, column {shown(task.table.text_column)}", soft_wrap=True
        )
        return _finish(options, task, run, client, console)
    except KeyboardInterrupt as interrupt:
        return _interrupted(interrupt, run, client, argv, console)
    finally:
        run.leave()


def _task(options: Namespace, client: Sentiq) -> Task:
    """Open the input and check the options against it."""
    kind = "csv" if options.file == _STDIO and not options.format else None
    kind = kind or format_of(options.file, options.format, "--format")
    path = _path(options)
    to = options.to or (format_of(str(path), None, "--to") if path else kind)
    if options.json and path is None:
        raise UsageError("--json and -o - both write to standard output. Name a file with -o.")
    if options.excel and to == "jsonl":
        raise UsageError("--excel is for tables that a spreadsheet opens, and JSONL is none. Write CSV.")
    source = Source.of(options.file, sys.stdin.buffer)
    wanted = Wanted(options.column, options.by, options.encoding, options.delimiter, options.sheet)
    table = open_table(source, kind, wanted)
    names = Names.beside(table.columns, {name: vars(options)[f"{name}_name"] for name in ADDED})
    settings = {
        "service": client.url,
        "model": options.model,
        "format": kind,
        "column": table.text_column,
        "encoding": options.encoding,
        "delimiter": options.delimiter,
        "sheet": options.sheet,
    }
    return Task(source, table, Output(to, Target(names, options.excel)), path, settings)


def _path(options: Namespace) -> Path | None:
    """Return the path of the output, None for standard output. Raises UsageError if it is the input."""
    if options.output is None and options.file != _STDIO:
        name = Path(options.file)
        suffix = f".{options.to}" if options.to else name.suffix
        return name.with_name(f"{name.stem}-scored{suffix}")
    if options.output in (None, _STDIO):
        return None
    path = Path(options.output)
    if path.is_dir():
        raise UsageError(f"{path} is a folder. Name a file in it with -o.")
    if options.file != _STDIO and path.exists() and path.samefile(options.file):
        raise UsageError("The output is the input. Name another file with -o.")
    return path


def _places(task: Task, identity: dict[str, Any]) -> Places:
    if task.path:
        return Places.beside(task.path)
    return Places.for_stdout({"input": identity, "settings": task.settings})


def _begin(options: Namespace, task: Task, identity: dict[str, Any], run: Run, client: Sentiq) -> None:
    """Go on with the run that is there, or begin one. Raises CommandError if neither is right."""
    goes_on = run.begun and not options.restart
    # A run that is killed behind its last step finds its own output.
    ours = goes_on and run.state.fetched_all
    if task.path and task.path.exists() and not (options.overwrite or ours):
        raise UsageError(
            f"{task.path} exists already. Name another file with -o, or replace it with --overwrite."
        )
    if goes_on:
        run.state.check(identity, task.settings)
        return
    if run.begun:
        for segment in run.state.segments:
            cancel(client, segment)
        run.begun = False
    run.begin(State(identity, task.settings))


def _finish(options: Namespace, task: Task, run: Run, client: Sentiq, console: Console) -> int:
    terms = {"model": options.model} if options.model else {}
    summary = Summary(options.by)
    with Bar(console) as bar:
        Scoring(client, run, task.table, terms, bar).finish()
        _check_input(task, run)
        joined = join(task.table, task.output, run.verdicts(), summary, bar.writing)

        def write(file: IO[bytes]) -> None:
            joined(file)
            _check_input(task, run)

        if task.path and run.places.part:
            write_file(run.places.part, task.path, write)
        else:
            write(sys.stdout.buffer)
            sys.stdout.buffer.flush()
    jobs = [segment.job for segment in run.state.segments if segment.job]
    run.remove()
    _tell(options, task, summary, jobs, console)
    return SOME_FAILED if summary.all.errors else OK


def _check_input(task: Task, run: Run) -> None:
    if task.identity != run.state.input:
        raise InputError(CHANGED)


def _tell(options: Namespace, task: Task, summary: Summary, jobs: Sequence[str], console: Console) -> None:
    if options.json:
        body = summary.body() | {"output": str(task.path), "jobs": jobs}
        print(json.dumps(body, ensure_ascii=False, indent=2))
        return
    tally = summary.all
    mean = "" if tally.mean_score is None else f", mean score {tally.mean_score:+.3f}"
    about = {
        "rows": f"{tally.rows:,}{mean}",
        "job": ", ".join(jobs) or "none",
        "output": str(task.path or "stdout"),
    }
    summary.show(console, about)


def _interrupted(
    interrupt: KeyboardInterrupt, run: Run, client: Sentiq, argv: Sequence[str], console: Console
) -> int:
    """Cancel the job or leave it to the service; the files of a run that is left stay."""
    if run.over or not run.active:
        return INTERRUPTED
    if wants_cancel(interrupt, console):
        job = cancel(client, run.state.segment)
        run.remove()
        console.print(f"Canceled {job or 'the upload'}. Nothing is written.")
        return INTERRUPTED
    console.print(
        "Detached: the service goes on. Fetch the verdicts and write the output with:", soft_wrap=True
    )
    console.print(f"  {shlex.join(['sentiq', *argv])}", soft_wrap=True, highlight=False, markup=False)
    return INTERRUPTED
