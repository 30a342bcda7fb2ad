"""What a run remembers beside its output, so that the same command goes on after a cut.

A state file names the input, the jobs and how far their verdicts are fetched; a journal holds the verdicts.
Neither holds a text or an API key. Both are for their owner alone, and go when the output is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from sentiq.command.exits import InputError, UsageError
from sentiq.tables.table import Verdict

try:
    import fcntl
except ImportError:  # Windows: two runs with one output are not kept apart
    fcntl = None  # type: ignore[assignment]

_VERSION = 1
_PRIVATE = 0o600


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
    version: int = _VERSION

    @property
    def segment(self) -> Segment:
        """Return the last segment."""
        return self.segments[-1]

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
            if raw["version"] != _VERSION:
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
