"""A span: a step of a request with its times. The base of those that are recorded, and the one that is not.

A span has only the attributes of `ATTRIBUTES`: no text, no metadata and no secret gets into one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

# What a span may say, by the keyword of `Span.set`.
ATTRIBUTES: Mapping[str, str] = {
    "job_id": "sentiq.job.id",
    "model": "sentiq.model",
    "queue_class": "sentiq.queue.class",
    "items": "sentiq.items",
    "failed_items": "sentiq.items.failed",
    "tokens": "sentiq.tokens",
    "chunks": "sentiq.chunks",
    "rows": "sentiq.rows",
    "attempts": "sentiq.attempts",
    "replayed": "sentiq.replayed",
    "method": "http.request.method",
    "route": "http.route",
    "status_code": "http.response.status_code",
    "error": "error.type",
}
Value = str | int


class Span:
    """A span that records nothing: of a request that is not sampled, and of all while tracing is off."""

    __slots__ = ()

    @property
    def traceparent(self) -> str:
        """Return the W3C traceparent of the span; empty if it records nothing."""
        return ""

    def set(self, **attributes: Value) -> None:
        """Add attributes, by their names in `ATTRIBUTES`."""

    def name(self, name: str) -> None:
        """Give the span another name."""

    def fail(self, code: str) -> None:
        """Mark the span as failed with an error code."""

    def end(self) -> None:
        """End the span. It must be the current one of this thread, greenlet or task if it began as such."""

    def __enter__(self) -> Self:
        """Return the span."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End the span; an error marks it as failed, with its code and without its message."""
        if error is not None:
            self.fail(str(getattr(error, "code", "")) or type(error).__name__)
        self.end()


NO_SPAN = Span()
