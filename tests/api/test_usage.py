"""Usage over HTTP: one's own, and that of all for operators; as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import httpx2
import pytest

from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from api.output.key_collector import MAX_KEYS, read_usage_by_key
from local.redis_server import redis_server
from tasks.settings import Settings
from tasks.store import models
from tasks.store.jobs import JobStore
from tasks.store.usage import today
from tasks.vocabulary.usage import Usage
from tests.api.test_access import bearer, running_api
from tests.conftest import MODEL_NAME
from tests.tasks.test_usage import GOOD, finish, put, record


@dataclass
class Service:
    """A service whose worker is this test, two of its callers, and an operator."""

    http: httpx2.Client
    store: JobStore
    anna: str
    ben: str
    tokens: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with redis_server() as redis_url:
        store = JobStore.connect(Settings(redis_url=redis_url, default_model=MODEL_NAME))
        models.register(store, MODEL_NAME, {})
        keys = ApiKeys(store)
        made = {name: keys.create(name, [Scope.READ]) for name in ("=anna()", "ben")}
        (anna, _), (ben, _) = made.values()
        record(store, "很好", "一般", owner=anna.id)
        finish(store, GOOD, GOOD, forward_ms=1500)
        record(store, "很好", owner=ben.id)
        finish(store, GOOD)
        _, operator = keys.create("operator", [Scope.OPERATOR])
        tokens = {
            "anna": bearer(made["=anna()"][1]),
            "ben": bearer(made["ben"][1]),
            "operator": bearer(operator),
        }
        log = tmp_path_factory.mktemp("usage") / "api.log"
        with running_api(redis_url, log) as url, httpx2.Client(base_url=url, timeout=30) as http:
            yield Service(http, store, anna.id, ben.id, tokens)


SUMS = {"items": 2, "errors": 0, "characters": 4, "tokens": 10, "model_seconds": 1.5}


def test_a_key_sees_its_own_usage_and_no_other(service: Service) -> None:
    day = str(today(service.store))
    answer = service.http.get("/v1/usage", headers=service.tokens["anna"]).json()
    assert answer["data"] == [{"period": day, "model": MODEL_NAME, **SUMS}]
    assert answer["total"] == SUMS
    assert answer["last"] == day
    assert date.fromisoformat(answer["first"]) == today(service.store) - timedelta(29)
    (row,) = service.http.get("/v1/usage", params={"by": "day"}, headers=service.tokens["anna"]).json()[
        "data"
    ]
    assert (row["period"], row["model"]) == (day, None)
    (row,) = service.http.get("/v1/usage", params={"by": "model"}, headers=service.tokens["ben"]).json()[
        "data"
    ]
    assert (row["period"], row["model"], row["items"]) == (None, MODEL_NAME, 1)
    assert (
        service.http.get("/v1/usage", params={"to": "2026-01-01"}, headers=service.tokens["ben"]).json()[
            "data"
        ]
        == []
    )
    for query in ({"owner": service.ben}, {"from": "2026-01-02", "to": "2026-01-01"}, {"from": "20260101"}):
        refused = service.http.get("/v1/usage", params=query, headers=service.tokens["anna"])
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == f"?{next(iter(query))}"
    assert service.http.get("/v1/admin/usage", headers=service.tokens["anna"]).status_code == 403


def test_an_operator_sees_that_of_all_and_no_job(service: Service) -> None:
    operator = service.tokens["operator"]
    answer = service.http.get("/v1/admin/usage", params={"by": "model"}, headers=operator).json()
    found = {(row["owner"], row["name"]): row["items"] for row in answer["data"]}
    assert found == {(service.anna, "=anna()"): 2, (service.ben, "ben"): 1}
    assert answer["total"]["items"] == 3
    one = service.http.get("/v1/admin/usage", params={"owner": service.ben}, headers=operator).json()
    assert [row["owner"] for row in one["data"]] == [service.ben]
    assert service.http.get("/v1/usage", headers=operator).status_code == 403


def test_usage_as_csv_cannot_run_in_a_spreadsheet(service: Service) -> None:
    accept = {"accept": "text/csv"}
    answer = service.http.get("/v1/admin/usage", headers=service.tokens["operator"] | accept)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["name"] for row in rows] == ["'=anna()", "ben"]
    assert rows[0]["model_seconds"] == "1.5"
    own = service.http.get("/v1/usage", headers=service.tokens["ben"] | accept)
    assert own.text.splitlines()[0] == "period,model,items,errors,characters,tokens,model_seconds"


def test_usage_needs_a_key_of_an_operator_even_without_keys(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("open") / "api.log"
    with running_api(redis_url, log, AUTH="none") as url:
        assert httpx2.get(f"{url}/v1/usage").status_code == 200
        assert httpx2.get(f"{url}/v1/admin/usage").json()["code"] == "key_missing"


def test_metrics_by_key_hold_a_bounded_number_of_keys(store: JobStore) -> None:
    for number in range(MAX_KEYS + 3):
        store.redis.zadd("sentiq:usage_owners", {f"{number:08}": number})
        store.redis.hset(f"sentiq:usage:{number:08}", "all items", 2)
    sums = read_usage_by_key(store)
    assert len(sums) == MAX_KEYS + 1
    assert sums["other"] == Usage(items=6)
    put(store, date(2026, 1, 1), items=5)
    assert sum(sums.values(), Usage()).items == 2 * (MAX_KEYS + 3)
