"""What a run remembers beside its output, so that the same command goes on after a cut.

A state file names the input, the jobs and how far their verdicts are fetched; a journal holds the verdicts.
Neither holds a text or an API key. Both are for their owner alone, and go when the output is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sentiq.command.exits import InputError, UsageError

VERSION = 1


@dataclass(frozen=True)
class Places:
    """The files of a run."""

    state: Path
    journal: Path
    part: Path | None

    @classmethod
    def beside(cls, output: Path) -> Places:
        """Return the files of a run that writes a file."""
        names = (f"{output.name}.sentiq.json", f"{output.name}.sentiq.verdicts", f"{output.name}.sentiq.part")
        return cls(*(output.with_name(name) for name in names))

    @classmethod
    def for_stdout(cls, what: Mapping[str, Any]) -> Places:
        """Return the files of a run that writes to standard output: their name is a hash of what it reads."""
        home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "sentiq"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
        return cls(home / f"{name}.json", home / f"{name}.verdicts", None)


@dataclass
class Segment:
    """The part of the texts that is one job.

    `first` is the number of texts before it. `items` is the number of its texts, None until all are uploaded,
    and `more` whether others follow. `job` is the id, None until the service has told it. `key` makes the
    upload idempotent, and is the job's metadata `sentiq_run`.
    """

    first: int = 0
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    job: str | None = None
    items: int | None = None
    more: bool = False


@dataclass
class Fetched:
    """How far verdicts are in the journal: those before the last segment, and `items` of that one."""

    items: int = 0
    cursor: str | None = None
    bytes: int = 0


@dataclass
class State:
    """A run: what it scores and how, its jobs, and what is fetched of the last of them."""

    input: Mapping[str, Any]
    settings: Mapping[str, Any]
    segments: list[Segment] = field(default_factory=lambda: [Segment()])
    fetched: Fetched = field(default_factory=Fetched)
    version: int = VERSION

    @property
    def segment(self) -> Segment:
        """Return the last segment."""
        return self.segments[-1]

    @property
    def fetched_all(self) -> bool:
        """Return whether the journal has the verdict on every text."""
        return self.segment.items == self.fetched.items and not self.segment.more

    def check(self, source: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Raise InputError if the input is another, UsageError if it is to be scored in another way."""
        if self.input != source:
            raise InputError(
                "The input has changed since this run began, so its verdicts may not fit. "
                "Bring back the file as it was, or begin anew with --restart, which cancels the job."
            )
        for name, value in settings.items():
            if self.settings.get(name) != value:
                was = self.settings.get(name)
                raise UsageError(
                    f"This run began with {name} {was or 'unset'}, and now it is {value or 'unset'}. "
                    "Give the same options, or begin anew with --restart, which cancels the job."
                )
