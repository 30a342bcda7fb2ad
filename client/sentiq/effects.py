"""What the logic of the client asks of the outside: requests, sleep, texts to score.

The logic is generators that yield these values and get the outcome back, so that one implementation serves
callers that block (`blocking.py`) and callers that await (`awaiting.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sentiq.bodies import UploadBody

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """A request. With `stream`, the answer is read by Read, block by block; `timeout` is in seconds."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    upload: UploadBody | None = None
    stream: bool = False
    timeout: float | None = None


@dataclass(frozen=True)
class Reply:
    """A response; `headers` have names in lower case. The content of a stream is left for Read."""

    status: int
    headers: Mapping[str, str]
    content: bytes = b""


@dataclass(frozen=True)
class Send:
    """Send a request; the outcome is a Reply, or a SentiqConnectionError is raised."""

    call: Call


@dataclass(frozen=True)
class Read:
    """Read the next block of the stream; the outcome is bytes, empty at its end."""


@dataclass(frozen=True)
class Sleep:
    """Wait that many seconds."""

    seconds: float


@dataclass(frozen=True)
class Pull:
    """Take up to `count` texts of the caller; the outcome is a list, shorter only at the end."""

    count: int


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Hand a value to the caller."""

    value: T


@dataclass(frozen=True)
class Report:
    """Call the caller's function with a value."""

    call: Any
    value: Any


Effect = Send | Read | Sleep | Pull | Report
Steps = Generator[Effect, Any, T]
Flow = Generator[Effect | Emit[T], Any, None]


def mapped(flow: Flow[S], change: Callable[[S], T]) -> Flow[T]:
    """Yield what a flow yields, with a function applied to each value that it emits."""
    try:
        effect = next(flow)
        while True:
            try:
                outcome = yield Emit(change(effect.value)) if isinstance(effect, Emit) else effect
            except Exception as error:  # noqa: BLE001, PERF203  the flow decides
                effect = flow.throw(error)
            else:
                effect = flow.send(outcome)
    except StopIteration:
        return
