from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.conftest import started_stack
from tests.tracing.collector import Collector, collecting
from tests.webhooks.receiver import Receiver, receiving

HERE = {
    "SENTIMENT_WEBHOOK_ALLOW": "127.0.0.1",
    "SENTIMENT_WEBHOOK_RETRIES_S": "0.2",
    "SENTIMENT_CONCURRENCY": "1",
    "NO_PROXY": "127.0.0.1",
}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of one child whose spans go to the collector."""
    folder = tmp_path_factory.mktemp("traced")
    with started_stack(folder, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **HERE) as stack:
        yield stack
