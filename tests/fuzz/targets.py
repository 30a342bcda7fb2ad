"""The readers of what others send, each with the errors that it declares and what must hold of its answer."""

from __future__ import annotations

from tests.fuzz import bodies, files, messages, requests
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target for module in (bodies, requests, messages, files) for target in module.TARGETS
}
