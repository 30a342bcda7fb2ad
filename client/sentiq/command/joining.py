"""Writes the output: the rows of the input, read once more, each with its verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from sentiq.command.exits import InputError
from sentiq.command.summary import Summary
from sentiq.tables.formats import Output
from sentiq.tables.table import Row, Table, Verdict

CHANGED = "The input changed while it was scored. Bring back the file as it was, and give the same command."


def write_file(part: Path, path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Write a file under another name, and give it its own when it is whole and on disk."""
    try:
        with part.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        cause = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        raise InputError(
            f"{path} cannot be written: {cause}. Correct that, and give the same command."
        ) from None


def join(
    table: Table,
    output: Output,
    verdicts: Iterator[Verdict],
    summary: Summary,
    on_row: Callable[[int], None],
) -> Callable[[IO[bytes]], None]:
    """Return what writes every row with its verdict to a file, and counts it."""

    def write(file: IO[bytes]) -> None:
        columns = output.columns(table)
        writer = output.writer(file, table, columns)
        for number, row in enumerate(output.rows(table, columns), 1):
            verdict = _verdict_of(row, verdicts)
            writer.write(row, verdict)
            summary.add(row, verdict)
            on_row(number)
        if next(verdicts, None) is not None:
            raise InputError(CHANGED)
        writer.close()

    return write


def _verdict_of(row: Row, verdicts: Iterator[Verdict]) -> Verdict:
    """Return the verdict on a row: the next one if its text was scored."""
    if row.text is None:
        return Verdict(error=row.problem)
    verdict = next(verdicts, None)
    if verdict is None:
        raise InputError(CHANGED)
    return verdict
