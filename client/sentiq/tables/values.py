"""Values of any format as texts."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

_MIDNIGHT = dt.time()


def as_text(value: Any) -> str:
    """Return a value as the text of a cell; None is empty, a date without a time has none."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        return _date(value)
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=as_text)
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _date(value: dt.datetime) -> str:
    is_day = value.time() == _MIDNIGHT and value.tzinfo is None
    return value.date().isoformat() if is_day else value.isoformat(" ")
