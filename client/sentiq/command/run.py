"""A run on disk: its state and its journal, locked against a second run."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO

from sentiq.command.exits import InputError
from sentiq.command.state import VERSION, Fetched, Places, Segment, State
from sentiq.tables.table import Verdict

try:
    import fcntl
except ImportError:  # Windows: two runs with one output are not kept apart
    fcntl = None  # type: ignore[assignment]

_PRIVATE = 0o600


class Run:
    """The files of a run, locked against a second one. `begun` says that the state was there already."""

    def __init__(self, places: Places) -> None:
        """Open the files. Raises InputError if that is not possible, or if another run has them."""
        self.places = places
        self.over = False  # the output is whole
        self._journal: IO[bytes] = self._open()
        self._state = self._read()
        self.begun = self.active

    @property
    def active(self) -> bool:
        """Return whether there is a state: whether the run can go on."""
        return self._state is not None

    @property
    def state(self) -> State:
        """Return the state."""
        if self._state is None:
            raise TypeError("a run begins before it is used")
        return self._state

    def begin(self, state: State) -> None:
        """Begin anew with this state."""
        self._state = state
        self.save()

    def rewind(self) -> None:
        """Cut the journal after the verdicts that the state knows of."""
        if os.fstat(self._journal.fileno()).st_size < self.state.fetched.bytes:
            raise InputError(
                f"{self.places.journal} has lost verdicts. Begin anew with --restart, which cancels the job."
            )
        self._journal.truncate(self.state.fetched.bytes)
        self._journal.seek(self.state.fetched.bytes)

    def append(self, verdicts: list[Verdict]) -> None:
        """Add verdicts to the journal; they count when the state is saved."""
        lines = [json.dumps(verdict.values, ensure_ascii=False) + "\n" for verdict in verdicts]
        self.state.fetched.bytes += self._journal.write("".join(lines).encode())

    def save(self) -> None:
        """Write the state in one step, behind the journal that it speaks of."""
        self._journal.flush()
        os.fsync(self._journal.fileno())
        with os.fdopen(os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE), "w") as file:
            json.dump(asdict(self.state), file)
            file.flush()
            os.fsync(file.fileno())
        self._new.replace(self.places.state)

    def verdicts(self) -> Iterator[Verdict]:
        """Yield all verdicts of the journal."""
        self._journal.flush()
        with self.places.journal.open("rb") as lines:
            for line in lines:
                yield Verdict(*json.loads(line))

    def remove(self) -> None:
        """Delete the files, the journal last: a state without its journal would be of no use."""
        self.over = True
        for path in (self.places.state, self._new, self.places.part, self.places.journal):
            if path is not None:
                path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Close the files; without a state they are of no use and go."""
        if self._state is None:
            self.places.journal.unlink(missing_ok=True)
        self._journal.close()

    @property
    def _new(self) -> Path:
        return self.places.state.with_suffix(".new")

    def _open(self) -> IO[bytes]:
        """Return the journal, locked. One that another run has deleted meanwhile is opened anew."""
        path = self.places.journal
        try:
            while True:
                journal = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE), "r+b")
                if _is_locked(journal, path):
                    return journal
                journal.close()
        except BlockingIOError:
            raise InputError(
                f"Another run writes {path.name.removesuffix('.sentiq.verdicts')} now. "
                "Wait for it, or choose another output with -o."
            ) from None
        except OSError as error:
            raise InputError(
                f"{path} cannot be written: {error.strerror}. Choose another place with -o."
            ) from None

    def _read(self) -> State | None:
        try:
            raw = json.loads(self.places.state.read_text("utf-8"))
            if raw["version"] != VERSION:
                raise ValueError  # noqa: TRY301  told below
            segments = [Segment(**each) for each in raw.pop("segments")]
            return State(segments=segments, fetched=Fetched(**raw.pop("fetched")), **raw)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            with contextlib.suppress(OSError):
                self._journal.close()
            raise InputError(
                f"{self.places.state} is no state of this version. Delete it to begin anew."
            ) from None


def _is_locked(file: IO[bytes], path: Path) -> bool:
    """Lock a file; return whether it still has its name. Raises BlockingIOError if another run has it."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
