"""Takes the guard out of the broker's transport: kombu's own channel, as if `_connparams` were not ours.

`sitecustomize` plants it where `WITHOUT_GUARD` is set.
"""

from __future__ import annotations

from typing import Any

MODULE = "tasks.broker.transport"
VARIABLE = "WITHOUT_GUARD"


def remove(module: Any) -> None:
    """Let the channel of the module connect as kombu's own does."""
    del module.Channel._connparams
