"""Traces by OpenTelemetry's SDK. Only `trace.start` loads this file, and only where tracing is on.

The SDK reads the standard OTEL_ variables itself: endpoint, headers, sampler, sizes and times.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tasks.tracing.span import ATTRIBUTES, NO_SPAN, Span, Value

# The SDK's own are 5 s and 512 spans: a killed process loses the spans of that time, and encoding a batch
# holds up the event loop of the API.
_DELAY_MS = 1000
_BATCH_SPANS = 128
_STOP_S = 2.0
_NOWHERE = Context()
_PROPAGATOR = TraceContextTextMapPropagator()


class _Recorded(Span):
    """A span of the SDK. `token` restores the span that was current before, if this one is current."""

    __slots__ = ("_token", "sdk")

    def __init__(self, sdk: Any, *, make_current: bool = True) -> None:
        self.sdk = sdk
        self._token = contexts.attach(set_span_in_context(sdk)) if make_current else None

    @property
    def traceparent(self) -> str:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, set_span_in_context(self.sdk, _NOWHERE))
        return carrier["traceparent"]

    def set(self, **attributes: Value) -> None:
        for name, value in attributes.items():
            self.sdk.set_attribute(ATTRIBUTES[name], value)

    def name(self, name: str) -> None:
        self.sdk.update_name(name)

    def fail(self, code: str) -> None:
        self.set(error=code)
        self.sdk.set_status(StatusCode.ERROR)

    def end(self) -> None:
        if self._token is not None:
            contexts.detach(self._token)
            self._token = None
        self.sdk.end()


class _Following(Sampler):
    """Samples a lease if a request that rode in it is sampled, and asks another sampler about all else."""

    def __init__(self, other: Sampler) -> None:
        self._other = other

    def should_sample(  # noqa: PLR0913, PLR0917  the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        is_root = not get_current_span(parent_context).get_span_context().is_valid
        if is_root and any(link.context.trace_flags.sampled for link in links or ()):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        return self._other.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return f"Following{{{self._other.get_description()}}}"


class OpenTelemetry:
    """The tracer of this process. A thread exports, from a queue that drops the oldest spans when full."""

    def __init__(self, program: str) -> None:
        given = os.environ
        resource: dict[str, Any] = {"process.pid": os.getpid()}
        named = "OTEL_SERVICE_NAME" in given or "service.name=" in given.get("OTEL_RESOURCE_ATTRIBUTES", "")
        if not named:
            resource["service.name"] = f"sentiq-{program}"
        self._provider = TracerProvider(resource=Resource.create(resource), shutdown_on_exit=False)
        if self._provider.sampler is not ALWAYS_OFF:
            self._provider.sampler = _Following(self._provider.sampler)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(),
                schedule_delay_millis=None if "OTEL_BSP_SCHEDULE_DELAY" in given else _DELAY_MS,
                max_export_batch_size=None if "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" in given else _BATCH_SPANS,
            )
        )
        self._tracer = self._provider.get_tracer("sentiq")

    def current(self) -> Span:
        """Return the current span."""
        sdk = get_current_span()
        return _Recorded(sdk, make_current=False) if sdk.is_recording() else NO_SPAN

    def request(self, traceparent: str) -> Span:
        """Begin the span of an HTTP request, a child of the caller's if the header is valid."""
        return self._begin("HTTP", _remote(traceparent), SpanKind.SERVER)

    def span(self, name: str) -> Span:
        """Begin a child of the current span, if that is recorded."""
        return self._begin(name, None, SpanKind.INTERNAL) if get_current_span().is_recording() else NO_SPAN

    def batch(self, parents: Sequence[str], begun_ns: int) -> Span:
        """Begin the span of a lease, in a trace of its own, with a link to each request."""
        links = [Link(_span_context(_remote(parent))) for parent in dict.fromkeys(parents)]
        return self._begin("lease", _NOWHERE, SpanKind.CONSUMER, links=links, start_time=begun_ns)

    def delivery(self, traceparent: str) -> Span:
        """Begin the span of an attempt at a webhook, a child of the admission of its job."""
        return self._begin("webhook", _remote(traceparent), SpanKind.CLIENT)

    def record(
        self,
        name: str,
        parent: str,
        times_ns: tuple[int, int],
        rode_in: Span,
        **attributes: Value,
    ) -> None:
        """Record a span that has ended, linked to the lease of its chunks."""
        links = [Link(rode_in.sdk.get_span_context())] if isinstance(rode_in, _Recorded) else []
        begun, ended = times_ns
        sdk = self._tracer.start_span(name, _remote(parent), links=links, start_time=min(begun, ended))
        if sdk.is_recording():
            span = _Recorded(sdk, make_current=False)
            span.set(**attributes)
            if "error" in attributes:
                span.fail(str(attributes["error"]))
        sdk.end(ended)

    def stop(self) -> None:
        """Export what is left, for a few seconds at most: a collector may be away."""
        stopping = threading.Thread(target=self._provider.shutdown, name="tracing-stop", daemon=True)
        stopping.start()
        stopping.join(_STOP_S)

    def _begin(self, name: str, context: Context | None, kind: SpanKind, **options: Any) -> Span:
        sdk = self._tracer.start_span(name, context, kind, record_exception=False, **options)
        return _Recorded(sdk) if sdk.is_recording() else NO_SPAN


def _remote(traceparent: str) -> Context:
    """Return the context of a traceparent; an empty one if it is not valid."""
    return _PROPAGATOR.extract({"traceparent": traceparent}, _NOWHERE)


def _span_context(context: Context) -> SpanContext:
    return get_current_span(context).get_span_context()
