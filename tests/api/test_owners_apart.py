"""Every route of the document is called with every scope and by two owners.

Without `operator` nobody learns or changes anything of another owner. With it nobody learns a text, `data`,
the id of an item or a value of metadata, and outside `/v1/admin` it opens nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from local.redis_server import redis_server
from tasks.settings import EMBEDDED_PACK, Settings
from tasks.store import models
from tasks.store.jobs import JobStore
from tests.api.test_access import bearer, running_api
from tests.conftest import MODEL_NAME
from tests.webhooks.jobs import finish

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text("utf-8"))
OPERATIONS = {
    call["operationId"]: (method.upper(), path, call)
    for path, methods in DOCUMENT["paths"].items()
    for method, call in methods.items()
}
# What no answer to others may hold: text, data, id of an item, value of metadata, host of a webhook.
SECRETS = ("绝密的文本", "绝密的数据", "绝密的编号", "绝密的元数据")
HOST = "hooks.anna.example"
PATH = "path-and-token-of-her-webhook"
PACK = {
    "id": "test",
    "revision": "1",
    "labels": json.loads((EMBEDDED_PACK / "pack.json").read_text("utf-8"))["labels"],
    "input": "text",
    "max_tokens": 256,
    "uncertain_below": None,
    "measured": {},
}
SCOPES = [
    *((scope,) for scope in Scope),
    (Scope.SUBMIT, Scope.READ, Scope.CANCEL, Scope.ADMIN),
    tuple(Scope),
]
BODIES: Mapping[str, dict[str, Any]] = {
    "create_job": {"text": "很好"},
    "predict_one": {"text": "很好"},
    "predict_batch": {"texts": ["很好"]},
    "create_key": {"name": "made by the walk"},
    "change_key": {"name": "changed by the walk", "disabled": True},
    "rotate_key": {},
    "replay_failures": {"dry_run": False},
    "redeliver_webhooks": {"dry_run": False, "status": "pending"},
    "test_webhook": {"url": "http://127.0.0.1:1/"},
    "pause_work": {"target": "class:bulk", "reason": "the walk"},
    "resume_work": {"target": "class:bulk"},
}


@dataclass
class Service:
    """A service with a job of Anna, whose id and key the other owner knows."""

    url: str
    store: JobStore
    job_id: str
    key_id: str
    token: str
    others: dict[tuple[Scope, ...], str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("apart") / "api.log"
    with redis_server() as redis_url:
        store = JobStore.connect(Settings(redis_url=redis_url))
        models.register(store, MODEL_NAME, PACK)
        keys = ApiKeys(store)
        anna, token = keys.create("anna", [Scope.SUBMIT, Scope.READ, Scope.CANCEL])
        others = {scopes: keys.create("ben", scopes)[1] for scopes in SCOPES}
        limits = {"SENTIMENT_MAX_WAIT_S": "0.1", "SENTIMENT_WEBHOOK_ALLOW": HOST}
        with running_api(redis_url, log, **limits) as url:
            answer = httpx2.post(f"{url}/v1/jobs", json=annas_job(), headers=bearer(token), timeout=30)
            job_id = answer.raise_for_status().json()["id"]
            finish(store)
            yield Service(url, store, job_id, anna.id, token, others)


def annas_job() -> dict[str, Any]:
    text, data, item_id, metadata = SECRETS
    item = {"text": text, "id": item_id, "data": {"field": data}}
    return {
        "items": [item],
        "metadata": {"name": metadata},
        "keep_texts": True,
        "summarize_by": "field",
        "priority": "bulk",
        "webhook": {"url": f"https://{HOST}/{PATH}?token={PATH}"},
    }


def snapshot(service: Service) -> dict[str, Any]:
    """Return all that Redis keeps of Anna: her job and her key."""
    client: Any = service.store.redis
    read = {b"hash": client.hgetall, b"string": client.get, b"zset": lambda key: client.zrange(key, 0, -1)}
    read |= {b"set": client.smembers, b"list": lambda key: client.lrange(key, 0, -1)}
    kept = {key: read[client.type(key)](key) for key in client.scan_iter(f"*{service.job_id}*")}
    for name in ("api_keys", "weights", "kept", "owners"):
        kept[name] = client.hget(f"sentiq:{name}", service.key_id)
    for name in ("kept_jobs", "kept_until", "jobs", "usage", "open_jobs", "deliveries"):
        key = f"sentiq:{name}:{service.key_id}"
        found = client.type(key)
        kept[name] = read[found](key) if found != b"none" else None
    return kept


def call(service: Service, name: str, scopes: tuple[Scope, ...]) -> httpx2.Response:
    method, path, _ = OPERATIONS[name]
    body = {"ids": [service.job_id]} if name == "lookup_jobs" else BODIES.get(name)
    where = path.format(job_id=service.job_id, key_id=service.key_id)
    headers = bearer(service.others[scopes])
    return httpx2.request(method, service.url + where, json=body, headers=headers, timeout=30)


def is_open(name: str) -> bool:
    return "security" not in OPERATIONS[name][2]


@pytest.mark.parametrize("scopes", SCOPES, ids="+".join)
@pytest.mark.parametrize("name", OPERATIONS)
def test_without_operator_nothing_of_another_owner_is_learned_or_changed(
    service: Service, name: str, scopes: tuple[Scope, ...]
) -> None:
    path, before = OPERATIONS[name][1], snapshot(service)
    of_operator = path.startswith("/v1/admin/")
    if of_operator and Scope.OPERATOR in scopes:
        pytest.skip("see below")
    answer = call(service, name, scopes)
    if of_operator:
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    elif "{job_id}" in path:
        assert answer.status_code in (403, 404)
        assert answer.json()["code"] in ("scope_missing", "job_not_found")
    assert answer.status_code != 500
    asked = answer.request.url.path + (answer.request.content or b"").decode()
    known = {service.key_id, service.job_id} - set(re.findall(r"job_\w{34}|\b[0-9a-f]{8}\b", asked))
    for secret in (*SECRETS, HOST, "anna", *known):
        assert secret not in answer.text
    assert snapshot(service) == before


def test_every_route_that_names_a_job_or_a_key_was_walked() -> None:
    assert {"get_job", "get_results", "revoke_key", "get_all_usage"} <= OPERATIONS.keys()
    closed = {name for name in OPERATIONS if not is_open(name)}
    assert OPERATIONS.keys() - closed == {"livez", "readyz", "get_metrics"}
    admin = [call for _, path, call in OPERATIONS.values() if path.startswith("/v1/admin/")]
    assert {call["security"][0]["key"][0] for call in admin} == {"operator"}


READS = [name for name, (method, path, _) in OPERATIONS.items() if method == "GET" and "/v1/admin/" in path]


@pytest.mark.parametrize("name", READS)
def test_an_operator_learns_of_jobs_and_never_what_is_in_them(service: Service, name: str) -> None:
    before = snapshot(service)
    answer = call(service, name, (Scope.OPERATOR,))
    assert answer.is_success, answer.text
    assert name != "list_all_deliveries" or HOST in answer.text
    for secret in (*SECRETS, PATH):
        assert secret not in answer.text
        assert json.dumps(secret)[1:-1] not in answer.text
    assert snapshot(service) == before


@pytest.mark.parametrize("name", ["replay_failures", "redeliver_webhooks"])
def test_what_an_operator_counts_shows_nothing_of_what_is_in_jobs(service: Service, name: str) -> None:
    before, headers = snapshot(service), bearer(service.others[Scope.OPERATOR,])
    body = BODIES[name] | {"dry_run": True}
    answer = httpx2.post(service.url + OPERATIONS[name][1], json=body, headers=headers, timeout=30)
    assert answer.is_success, answer.text
    assert name != "redeliver_webhooks" or HOST in answer.text
    for secret in (*SECRETS, PATH):
        assert secret not in answer.text
        assert json.dumps(secret)[1:-1] not in answer.text
    assert snapshot(service) == before


def test_the_secrets_are_there_for_their_owner(service: Service) -> None:
    path = f"{service.url}/v1/jobs/{service.job_id}"
    seen = "".join(httpx2.get(url, headers=bearer(service.token)).text for url in (path, f"{path}/results"))
    for secret in SECRETS:
        assert secret in seen
