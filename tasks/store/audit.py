"""The audit log: who did what to which job or API key, when and with what outcome.

It is three streams of bounded length, which are only appended to: many calls for jobs, or many refused ones,
push no change of an operator out. No entry has a text, data, an id of an item, metadata or a secret.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from heapq import merge
from typing import Any

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import AUDIT, AUDIT_JOBS, AUDIT_REFUSED

# What Redis keeps of each stream, about; 20 MB of entries together.
MAX_ENTRIES = {AUDIT: 20_000, AUDIT_JOBS: 60_000, AUDIT_REFUSED: 20_000}
_STREAMS = list(MAX_ENTRIES)
# What callers do to their own jobs, as often as their rate allows.
_JOB_ACTIONS = {"create_job", "cancel_job", "retry_job", "delete_job"}
DONE = "done"
COMMAND_LINE = "command line"
_PAGE = 1000
# Entries that one page looks at, at most.
_MAX_LOOKS = 10 * _PAGE


@dataclass(frozen=True, slots=True)
class Author:
    """Who acts: the id of an API key and the address of its caller, or a user and host at a command line."""

    by: str
    address: str = COMMAND_LINE


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action on a job or a key. `outcome` is `done`, or the code of the problem that came of it.

    `id` is the place of the entry in the log: the id in its stream, with the number of any but the first.
    """

    id: str
    at_ms: int
    action: str
    by: str
    address: str = ""
    key_id: str = ""
    job_id: str = ""
    outcome: str = DONE
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are read; empty stands for all. Times are in ms since the epoch, and exclusive."""

    fields: dict[str, str] = field(default_factory=dict)
    after_ms: int | None = None
    before_ms: int | None = None

    def matches(self, entry: AuditEntry) -> bool:
        """Return whether an entry has the values that are asked for."""
        values = asdict(entry)
        return all(values[name] == value for name, value in self.fields.items())

    @property
    def bounds(self) -> tuple[str, str]:
        """Return the newest and the oldest id that can pass. Redis knows no times before the epoch."""
        newest = "+" if self.before_ms is None else f"({max(1, self.before_ms)}-0"
        return newest, "-" if self.after_ms is None else str(max(0, self.after_ms + 1))


def append(  # noqa: PLR0913  an entry has each of them
    client: Any,
    action: str,
    key_id: str = "",
    detail: str = "",
    *,
    job_id: str = "",
    outcome: str = DONE,
    author: Author | None = None,
) -> None:
    """Append an entry. In a transaction the entry and the change that it records are one step.

    Without an author it is the user of this process.
    """
    fields = _fields(action, author or this_user(), key_id, detail, job_id=job_id, outcome=outcome)
    stream = AUDIT if outcome == DONE else AUDIT_REFUSED
    if stream == AUDIT and action in _JOB_ACTIONS:
        stream = AUDIT_JOBS
    client.xadd(stream, fields, maxlen=MAX_ENTRIES[stream], approximate=True)


def of_new_job(job_id: str, author: Author) -> list[Any]:
    """Return the entry of a new job for the script that makes it: stream, length, then names and values."""
    fields = _fields("create_job", author, job_id=job_id)
    return [AUDIT_JOBS, MAX_ENTRIES[AUDIT_JOBS], *(part for pair in fields.items() for part in pair)]


def _fields(  # noqa: PLR0913  an entry has each of them
    action: str,
    author: Author,
    key_id: str = "",
    detail: str = "",
    *,
    job_id: str = "",
    outcome: str = DONE,
) -> dict[str, str]:
    return {
        "action": action,
        "key": key_id,
        "by": author.by,
        "detail": detail,
        "address": author.address,
        "job": job_id,
        "outcome": outcome,
    }


def entries(client: Any) -> Iterator[AuditEntry]:
    """Yield all entries, the oldest first."""
    yield from merge(*(_all(client, number) for number in range(len(_STREAMS))), key=_place)


def _all(client: Any, number: int) -> Iterator[AuditEntry]:
    last = "-"
    while True:
        with store_errors():
            page = client.xrange(_STREAMS[number], min=last, count=_PAGE)
        yield from (_entry(number, each) for each in page)
        if len(page) < _PAGE:
            return
        last = f"({page[-1][0].decode()}"


def latest(
    store: JobStore, passing: AuditFilter, cursor: str | None, limit: int, *, charge: Callable[[], None]
) -> tuple[list[AuditEntry], str | None]:
    """Return up to `limit` entries, the newest first, that come behind `cursor`, and the cursor of the rest.

    `cursor` is the id of an entry. Each slice of the log after the first is charged. Few matches make a short
    page.
    """
    found: list[AuditEntry] = []
    for looks in range(0, _MAX_LOOKS, _PAGE):
        if looks:
            charge()
        page = _newest(store, passing, cursor)
        for entry in page:
            if passing.matches(entry):
                found.append(entry)
            if len(found) == limit:
                return found, entry.id
        if len(page) < _PAGE:
            return found, None
        cursor = page[-1].id
    return found, cursor


def _newest(store: JobStore, passing: AuditFilter, cursor: str | None) -> list[AuditEntry]:
    """Return up to a page of entries of all streams behind the cursor, the newest first."""
    newest, oldest = passing.bounds
    behind, _, of = (cursor or "").partition(".")
    if cursor is not None and not any(map(int, behind.split("-"))):
        return []  # nothing is behind the first id that there is
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for number, stream in enumerate(_STREAMS):
            # Two streams may give the same id: that of the stream with the higher number comes first.
            upper = newest if cursor is None else behind if number < int(of or 0) else f"({behind}"
            pipe.xrevrange(stream, upper, oldest, count=_PAGE)
        read = pipe.execute()
    found = [_entry(number, each) for number, page in enumerate(read) for each in page]
    return sorted(found, key=_place, reverse=True)[:_PAGE]


def _place(entry: AuditEntry) -> tuple[int, ...]:
    """Return where an entry stands in the log: time, sequence and number of the stream."""
    behind, _, of = entry.id.partition(".")
    return (*map(int, behind.split("-")), int(of or 0))


def this_user() -> Author:
    """Return the user and host of this process, who runs a command."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        user = str(os.getuid())
    return Author(f"{user}@{socket.gethostname()}")


def _entry(number: int, raw: tuple[bytes, dict[bytes, bytes]]) -> AuditEntry:
    """Read an entry of a stream, also one of an earlier version, which has fewer fields."""
    entry_id, fields = raw[0].decode(), {name.decode(): value.decode() for name, value in raw[1].items()}
    return AuditEntry(
        f"{entry_id}.{number}" if number else entry_id,
        int(entry_id.split("-")[0]),
        fields["action"],
        fields["by"],
        fields.get("address", ""),
        fields.get("key", ""),
        fields.get("job", ""),
        fields.get("outcome", DONE),
        fields.get("detail", ""),
    )
