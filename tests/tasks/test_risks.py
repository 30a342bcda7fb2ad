"""A Redis that may lose accepted jobs is named when the API starts."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tasks.store.jobs import JobStore
from tasks.store.risks import warn_of_risks
from tests.api.test_access import running_api


def test_an_evicting_redis_is_named_at_the_start_and_in_the_metrics(
    store: JobStore, redis_url: str, tmp_path: Path
) -> None:
    store.redis.config_set("maxmemory-policy", "allkeys-lru")
    log = tmp_path / "api.log"
    with running_api(redis_url, log, AUTH="none") as url:
        metrics = httpx2.get(f"{url}/metrics").text
    assert "sentiq_redis_evicting 1.0" in metrics
    assert "sentiq_redis_data_lost 0.0" in metrics
    assert "maxmemory-policy of Redis is allkeys-lru" in log.read_text("utf-8")


def test_a_clock_that_is_wrong_by_hours_is_named(
    store: JobStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_risks(store)
    assert not caplog.records, "a Redis as it should be"
    now = store.now_ms()
    monkeypatch.setattr(store, "now_ms", lambda: now - 7_200_000)
    warn_of_risks(store)
    assert "7200 s ahead" in caplog.text
