"""Names of models: callers ask for a model by its name, and its queues are named after it."""

from __future__ import annotations

import re

MAX_NAME_CHARS = 64
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]*$"
WAKEUPS = "sentiq."


def name_of(pack_id: str) -> str:
    """Return the id of a pack as a name: in small letters, with `-` for what a name does not have."""
    return re.sub(r"[^a-z0-9._-]", "-", pack_id.lower()).lstrip("._-")[:MAX_NAME_CHARS] or "model"


def is_name(text: str) -> bool:
    """Return whether a model may have that name."""
    return len(text) <= MAX_NAME_CHARS and re.fullmatch(NAME_PATTERN, text) is not None


def wakeup_queue(model: str) -> str:
    """Return the name of the Celery queue that carries the wake-ups of a model."""
    return WAKEUPS + model
