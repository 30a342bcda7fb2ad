"""The audit log: who made, rotated and revoked which API key, and who purged what. It is only appended to."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tasks.store.connection import store_errors
from tasks.store.keys import AUDIT

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action: `by` is a user and host, `key_id` the API key that it changed, never a secret."""

    at_ms: int
    action: str
    key_id: str
    by: str
    detail: str


def append(client: Any, action: str, key_id: str, detail: str = "") -> None:
    """Append an entry. In a transaction the entry and the change that it records are one step."""
    client.xadd(AUDIT, {"action": action, "key": key_id, "by": _operator(), "detail": detail})


def entries(client: Any) -> Iterator[AuditEntry]:
    """Yield all entries, the oldest first."""
    last = "-"
    while True:
        with store_errors():
            page = client.xrange(AUDIT, min=last, count=_PAGE)
        for entry_id, fields in page:
            action, key_id, by, detail = (
                fields[name].decode() for name in (b"action", b"key", b"by", b"detail")
            )
            yield AuditEntry(int(entry_id.split(b"-")[0]), action, key_id, by, detail)
        if len(page) < _PAGE:
            return
        last = f"({page[-1][0].decode()}"


def _operator() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
