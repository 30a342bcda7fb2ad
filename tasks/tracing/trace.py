"""What the programs call to trace a request. While tracing is off, each call does nothing and costs nothing.

This file loads nothing of OpenTelemetry. `start` loads `otel`, which does, if the environment turns it on.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from typing import Protocol

from tasks.errors import ConfigurationError
from tasks.settings import Settings
from tasks.tracing.span import NO_SPAN, Span, Value

_STAMP = re.compile(r"(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}) (\d{1,15})")
_EXTRA = (
    "tracing is on (OTEL_EXPORTER_OTLP_ENDPOINT is set), but its packages are not installed: "
    "install those of the extra `tracing` (requirements/tracing.lock, in images the build argument "
    "TRACING=yes), or unset the variable"
)


class Tracer(Protocol):
    """What `otel` does behind the functions of this file."""

    def current(self) -> Span:
        """Return the current span."""

    def request(self, traceparent: str) -> Span:
        """Begin the span of an HTTP request."""

    def span(self, name: str) -> Span:
        """Begin a child of the current span."""

    def batch(self, parents: Sequence[str], begun_ns: int) -> Span:
        """Begin the span of a lease."""

    def delivery(self, traceparent: str) -> Span:
        """Begin the span of an attempt at a webhook."""

    def record(
        self,
        name: str,
        parent: str,
        times_ns: tuple[int, int],
        rode_in: Span,
        **attributes: Value,
    ) -> None:
        """Record a span that has ended."""

    def stop(self) -> None:
        """Export what is left."""


class _Switch:
    tracer: Tracer | None = None


_switch = _Switch()


def wanted(settings: Settings) -> bool:
    """Return whether the environment turns tracing on."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return bool(settings.otlp_endpoint) and not off and os.environ.get("OTEL_TRACES_EXPORTER") != "none"


def require(settings: Settings) -> None:
    """Load what tracing needs, if it is on; start nothing. Raises ConfigurationError if that is missing."""
    if not wanted(settings):
        return
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    if protocol != "http/protobuf":
        raise ConfigurationError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol!r}: only http/protobuf is supported")
    try:
        import tasks.tracing.otel  # noqa: F401, PLC0415  only where tracing is on
    except ImportError as error:
        raise ConfigurationError(_EXTRA) from error


def start(program: str, settings: Settings) -> None:
    """Trace in this process if the environment says so. Call it behind the last fork: it starts a thread.

    Raises ConfigurationError if what it needs is not installed.
    """
    require(settings)
    if wanted(settings):
        from tasks.tracing.otel import OpenTelemetry  # noqa: PLC0415  only where tracing is on

        _switch.tracer = OpenTelemetry(program)


def stop() -> None:
    """Export what is left, for seconds at most, and trace no more."""
    tracer, _switch.tracer = _switch.tracer, None
    if tracer:
        tracer.stop()


def enabled() -> bool:
    """Return whether this process traces."""
    return _switch.tracer is not None


def current() -> Span:
    """Return the current span."""
    return _switch.tracer.current() if _switch.tracer else NO_SPAN


def request(traceparent: str) -> Span:
    """Begin the span of an HTTP request, in the trace of its header `traceparent` if that is valid.

    It is the current one until it ends.
    """
    return _switch.tracer.request(traceparent) if _switch.tracer else NO_SPAN


def span(name: str) -> Span:
    """Begin a child of the current span, which is the current one until it ends; nothing without a parent."""
    return _switch.tracer.span(name) if _switch.tracer else NO_SPAN


def stamp(traceparent: str) -> str:
    """Return what a chunk keeps of its request: the traceparent and the time in ms; empty if not traced."""
    return f"{traceparent} {time.time_ns() // 1_000_000}" if traceparent else ""


def read_stamp(text: str) -> tuple[str, int] | None:
    """Return the traceparent and the time, in ns since the epoch, that `stamp` wrote.

    None if it wrote nothing, or another version did so in another way: a chunk is scored whatever it says.
    """
    found = _STAMP.fullmatch(text)
    return (found[1], int(found[2]) * 1_000_000) if found else None


def batch(parents: Sequence[str], begun_ns: int) -> Span:
    """Begin the span of a lease, linked to the requests that rode in it; nothing without any.

    It is the current one until it ends.
    """
    return _switch.tracer.batch(parents, begun_ns) if _switch.tracer and parents else NO_SPAN


def record(name: str, parent: str, times_ns: tuple[int, int], rode_in: Span, **attributes: Value) -> None:
    """Record a span that has begun and ended at these times, a child of a request, linked to its lease."""
    if _switch.tracer:
        _switch.tracer.record(name, parent, times_ns, rode_in, **attributes)


def delivery(traceparent: str) -> Span:
    """Begin the span of an attempt at the webhook of a traced job, which is the current one until it ends."""
    return _switch.tracer.delivery(traceparent) if _switch.tracer and traceparent else NO_SPAN
