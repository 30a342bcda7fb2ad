"""What anybody may call, and what comes without a valid key, costs little however often it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
import redis
from flask import template_rendered

from api.app import create_app
from local.redis_server import redis_server
from tasks.settings import Settings
from tests.api.test_access import bearer, made, running_api
from tests.conftest import eventually


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URL of a service that asks for keys and allows 10 requests at once, and that of its Redis."""
    limits = {"SENTIMENT_RATE_PER_S": "5", "SENTIMENT_RATE_BURST": "10"}
    with redis_server() as redis_url:
        made(redis_url)
        with running_api(redis_url, tmp_path_factory.mktemp("limited") / "api.log", **limits) as url:
            yield url, redis_url


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Basic dTpw"}, bearer("nonsense"), bearer("sentiq_00000000_" + "A" * 43)],
)
def test_calls_without_a_valid_key_are_counted_by_address(
    limited: tuple[str, str], headers: dict[str, str]
) -> None:
    url, redis_url = limited
    forget_rates(redis_url)
    known = bearer(made(redis_url))
    with httpx2.Client(base_url=url, timeout=30, trust_env=False) as http:
        answers = [http.get("/v1/info", headers=headers) for _ in range(30)]
        statuses = [answer.status_code for answer in answers]
        assert statuses[:10] == [401] * 10
        assert set(statuses) == {401, 429}
        assert "This address" in answers[statuses.index(429)].json()["detail"]
        assert http.get("/v1/info", headers=known).status_code == 200, "a key has a rate of its own"


def forget_rates(redis_url: str) -> None:
    store: Any = redis.Redis.from_url(redis_url)
    for name in store.scan_iter("sentiq:rates*"):
        store.delete(name)


def calls_of(redis_url: str, command: str) -> int:
    stats: Any = redis.Redis.from_url(redis_url).info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


@pytest.mark.parametrize(("path", "command"), [("/readyz", "set"), ("/metrics", "info")])
def test_probes_and_metrics_read_redis_once_a_second(
    limited: tuple[str, str], path: str, command: str
) -> None:
    url, redis_url = limited
    before, began = calls_of(redis_url, command), time.monotonic()
    with ThreadPoolExecutor(8) as callers:
        statuses = set(callers.map(lambda _: httpx2.get(url + path, trust_env=False).status_code, range(100)))
    own = 1 if command == "info" else 0  # that of `calls_of`
    assert statuses == {200}
    assert 1 <= calls_of(redis_url, command) - before - own <= 2 + time.monotonic() - began


def test_a_probe_sees_within_a_second_that_redis_takes_no_writes(limited: tuple[str, str]) -> None:
    url, store = limited[0], redis.Redis.from_url(limited[1])
    assert httpx2.get(f"{url}/readyz", trust_env=False).status_code == 200
    store.config_set("maxmemory", "1")
    try:
        eventually(lambda: not httpx2.get(f"{url}/readyz", trust_env=False).is_success, within_s=5)
        refused = [httpx2.get(f"{url}/readyz", trust_env=False) for _ in range(3)]
    finally:
        store.config_set("maxmemory", "0")
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(503, "store_unavailable")}
    eventually(lambda: httpx2.get(f"{url}/readyz", trust_env=False).is_success, within_s=5)


def test_the_document_and_its_page_are_rendered_once() -> None:
    app, rendered = create_app(Settings()), []

    def note(*_: object, template: Any, **__: object) -> None:
        rendered.append(template.name)

    with template_rendered.connected_to(note, app), app.test_client() as client:
        pages = {client.get(path).data for path in ("/docs",) * 3}
        documents = {client.get(path).data for path in ("/openapi.json",) * 3}
    assert (len(pages), len(documents), rendered) == (1, 1, ["docs.html"])
