"""A progress bar on the terminal, with rate and time left; nothing where stderr is no terminal."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from typing_extensions import Self

_DRAW_EVERY_S = 0.1


class _Rate(ProgressColumn):
    """Texts per second."""

    def render(self, task: Task) -> Text:
        """Return the rate, empty until it is known."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="cyan")


class Bar:
    """Shows how far a run is: uploading, scoring, writing, each when it begins."""

    def __init__(self, console: Console) -> None:
        """Draw on the console, if it is a terminal."""
        columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(
            *columns, _Rate(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
        )
        self._tasks: dict[str, TaskID] = {}
        self._name, self._done = "", 0
        self._total: int | None = None
        self._drawn = 0.0

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Draw for the last time, and leave the terminal as it was."""
        self._close(whole=error is None)
        self._progress.stop()

    def uploading(self, items: int) -> None:
        """So many texts are read for the upload."""
        self._show("uploading", items, None)

    def scoring(self, items: int, total: int) -> None:
        """So many of the texts that are uploaded have a verdict."""
        self._show("scoring", items, total)

    def writing(self, rows: int) -> None:
        """So many rows are written."""
        self._show("writing", rows, None)

    def _show(self, name: str, done: int, total: int | None) -> None:
        if name != self._name:
            self._close(whole=True)
            self._name = name
            if name not in self._tasks:  # of several jobs each is uploaded and scored
                self._tasks[name] = self._progress.add_task(name, total=total)
        self._done, self._total = done, total
        now = time.monotonic()
        if now - self._drawn > _DRAW_EVERY_S:
            self._drawn = now
            self._progress.update(self._tasks[name], completed=done, total=total)

    def _close(self, *, whole: bool) -> None:
        """Draw what was told last; a stage that is over is full."""
        if self._name:
            total = self._done if whole else self._total
            self._progress.update(self._tasks[self._name], completed=self._done, total=total)
