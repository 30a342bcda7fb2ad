"""`maxmemory` with each policy: every one that can evict a job is named when a program starts."""

from __future__ import annotations

import logging

import pytest

from tasks.store.jobs import JobStore
from tasks.store.risks import warn_of_risks

POLICIES = (
    *("allkeys-lru", "allkeys-lfu", "allkeys-random"),
    *("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"),
)


def risks(store: JobStore, caplog: pytest.LogCaptureFixture) -> str:
    with caplog.at_level(logging.WARNING, "tasks.store.risks"):
        warn_of_risks(store)
    return caplog.text


@pytest.mark.parametrize("limit", ["0", "100mb"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_that_evicts_is_named(
    policy: str, limit: str, store: JobStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.redis.config_set("maxmemory", limit)
    store.redis.config_set("maxmemory-policy", policy)
    assert f"maxmemory-policy of Redis is {policy}: it evicts accepted jobs" in risks(store, caplog)


def test_noeviction_is_no_risk(store: JobStore, caplog: pytest.LogCaptureFixture) -> None:
    store.redis.config_set("maxmemory", "100mb")
    store.redis.config_set("maxmemory-policy", "noeviction")
    assert risks(store, caplog) == ""
