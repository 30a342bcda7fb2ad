"""Bodies of responses about the audit log."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from api.schemas.types import Time, closed


@closed
class AuditEntry(TypedDict):
    """Who did what, to which key or job, and what came of it: `done`, or the code of a problem.

    `by` is the id of a key, a user and host for commands, or empty for callers without keys.
    """

    id: str
    object: Literal["audit_entry"]
    at: Time
    action: str
    by: str
    address: str
    key: str
    job: str
    outcome: str
    detail: str


@closed
class AuditPage(TypedDict):
    """Entries, the newest first; `next_cursor` is null behind the last one."""

    object: Literal["list"]
    data: list[AuditEntry]
    next_cursor: str | None
