"""Records what callers do to jobs and keys: in the audit log, and as lines of JSON on stdout."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from typing import Any

from flask import Flask, Response, g, request
from pydantic_core import to_json

from api.auth.caller import caller
from api.http.request import request_id
from tasks.errors import StoreUnavailableError
from tasks.store import audit
from tasks.store.audit import DONE, Author
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore

# By the names of handlers. Calls that erase their job before they answer (/predict) are left out.
ACTIONS = {
    *("create_job", "cancel_job", "retry_job", "delete_job"),
    *("create_key", "change_key", "rotate_key", "revoke_key"),
    *("replay_failures", "redeliver_webhooks", "test_webhook", "pause_work", "resume_work"),
}
# These are recorded in the step that makes the change, if they are done. So is a new job of one document.
_IN_STEP = {"create_key", "change_key", "rotate_key", "revoke_key", "pause_work", "resume_work"}
_FAILED = 400
# What a caller gives in a path may be anything: only ids are recorded.
_JOB_ID = re.compile(r"job_[0-9A-Z]{34}")
_KEY_ID = re.compile(r"[0-9a-f]{8}")


class AuditLog:
    """Records each action when its response is ready."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def register(self, app: Flask) -> None:
        """Record the actions of this app."""
        app.after_request(self._record)

    def _record(self, response: Response) -> Response:
        action = str(request.endpoint).rsplit(".", maxsplit=1)[-1]
        if action not in ACTIONS or not g.get("admitted", False):
            return response
        entry = _entry(action, response)
        _print(entry)
        in_step = action in _IN_STEP or g.get("audited", False)
        if not in_step or entry["outcome"] != DONE:
            # The response stands, whether or not Redis takes the entry now.
            with suppress(StoreUnavailableError), store_errors():
                audit.append(self._store.redis, author=request_author(), **entry)
        return response


def request_author() -> Author:
    """Return the caller of this request as the author of an entry."""
    return Author(caller().owner, caller().address)


def _entry(action: str, response: Response) -> dict[str, str]:
    """Return action, ids, outcome and detail of the request that is being answered."""
    arguments = request.view_args or {}
    failed = response.status_code >= _FAILED
    made = response.headers.get("Location", "").rsplit("/", maxsplit=1)[-1]
    given, key_id = str(arguments.get("job_id", "")), str(arguments.get("key_id", made))
    detail = f"as {made}" if given and made else ""
    if response.headers.get("Idempotent-Replayed"):
        detail = "replayed"
    return {
        "action": action,
        "job_id": _matching(_JOB_ID, given or made),
        "key_id": _matching(_KEY_ID, key_id),
        "outcome": g.get("problem_code", "failed") if failed else DONE,
        "detail": detail,
    }


def _print(entry: dict[str, str]) -> None:
    author = request_author()
    line: dict[str, Any] = {"audit": entry["action"], "by": author.by, "address": author.address}
    line |= {name: value for name, value in entry.items() if name != "action" and value}
    sys.stdout.write(to_json(line | {"request_id": request_id()}).decode() + "\n")
    sys.stdout.flush()


def _matching(pattern: re.Pattern[str], text: str) -> str:
    return text if pattern.fullmatch(text) else ""
