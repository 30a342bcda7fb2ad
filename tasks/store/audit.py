"""The audit log: who did what to which job or API key, when and with what outcome.

It is a stream of bounded length, which is only appended to. No entry has a text, data, an id of an item, a
value of metadata or a secret.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import AUDIT

# What Redis keeps of the log, about: 20 MB of entries.
MAX_ENTRIES = 100_000
DONE = "done"
_PAGE = 1000
# Entries that one page looks at, at most.
_MAX_LOOKS = 10 * _PAGE


@dataclass(frozen=True, slots=True)
class Author:
    """Who acts: the id of an API key and the address of its caller, or a user and host."""

    by: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action on a job or a key. `outcome` is `done`, or the code of the problem that came of it.

    `id` is the place of the entry in the log, and sorts by time.
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
    author = author or this_user()
    fields = {
        "action": action,
        "key": key_id,
        "by": author.by,
        "detail": detail,
        "address": author.address,
        "job": job_id,
        "outcome": outcome,
    }
    client.xadd(AUDIT, fields, maxlen=MAX_ENTRIES, approximate=True)


def entries(client: Any) -> Iterator[AuditEntry]:
    """Yield all entries, the oldest first."""
    last = "-"
    while True:
        with store_errors():
            page = client.xrange(AUDIT, min=last, count=_PAGE)
        yield from map(_entry, page)
        if len(page) < _PAGE:
            return
        last = f"({page[-1][0].decode()}"


def latest(
    store: JobStore, passing: AuditFilter, cursor: str | None, limit: int, *, charge: Callable[[], None]
) -> tuple[list[AuditEntry], str | None]:
    """Return up to `limit` entries, the newest first, that come behind `cursor`, and the cursor of the rest.

    Each slice of the log after the first is charged. Few matches make a short page.
    """
    found: list[AuditEntry] = []
    if cursor is not None and not any(map(int, cursor.split("-"))):
        return found, None  # nothing is behind the first id that there is
    # Redis knows no times before the epoch.
    newest = "+" if passing.before_ms is None else f"({max(1, passing.before_ms)}-0"
    oldest = "-" if passing.after_ms is None else str(max(0, passing.after_ms + 1))
    newest = newest if cursor is None else f"({cursor}"
    for looks in range(0, _MAX_LOOKS, _PAGE):
        if looks:
            charge()
        with store_errors():
            page = [_entry(each) for each in store.redis.xrevrange(AUDIT, newest, oldest, count=_PAGE)]
        for entry in page:
            if passing.matches(entry):
                found.append(entry)
            if len(found) == limit:
                return found, entry.id
        if len(page) < _PAGE:
            return found, None
        newest = f"({page[-1].id}"
    return found, page[-1].id


def this_user() -> Author:
    """Return the user and host of this process, who runs a command."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        user = str(os.getuid())
    return Author(f"{user}@{socket.gethostname()}")


def _entry(raw: tuple[bytes, dict[bytes, bytes]]) -> AuditEntry:
    """Read an entry, also one of an earlier version, which has fewer fields."""
    entry_id, fields = raw[0].decode(), {name.decode(): value.decode() for name, value in raw[1].items()}
    return AuditEntry(
        entry_id,
        int(entry_id.split("-")[0]),
        fields["action"],
        fields["by"],
        fields.get("address", ""),
        fields.get("key", ""),
        fields.get("job", ""),
        fields.get("outcome", DONE),
        fields.get("detail", ""),
    )
