"""The service does what the document says: every documented status is reached, with a body as documented."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import TypeAdapter

from api.app import create_app
from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from api.openapi.document import document, operation_id
from api.openapi.operations import OPERATIONS
from api.schemas.problems import Problem
from local.redis_server import redis_server
from local.stack import Stack
from tasks.settings import Settings
from tasks.store import models, uploads
from tasks.store.idempotency import IdempotencyKey
from tasks.store.jobs import JobStore
from tasks.store.keys import pending_key
from tasks.vocabulary.jobs import Queue, QueueClass
from tests.api.test_access import running_api
from tests.conftest import MODEL_NAME, eventually, worker_of
from tests.webhooks.jobs import BAD, GOOD, finish

COPY = Path(__file__).parents[2] / "docs" / "openapi.json"
SETTINGS = Settings()
APP = create_app(SETTINGS)
DOCUMENT = document(APP, SETTINGS)
CALLS = {
    call["operationId"]: (method.upper(), path, call)
    for path, methods in DOCUMENT["paths"].items()
    for method, call in methods.items()
}
STATUSES = [(name, int(status)) for name, (*_, call) in CALLS.items() for status in call["responses"]]
BODIES: dict[str, dict[str, Any]] = {
    "create_job": {"text": "服务很贴心"},
    "lookup_jobs": {"ids": ["job_nonsense"]},
    "predict_one": {"text": "服务很贴心"},
    "predict_batch": {"texts": ["服务很贴心"]},
    "create_key": {"name": "contract"},
    "change_key": {"description": "changed"},
    "rotate_key": {"overlap_s": 60},
    "replay_failures": {"dry_run": True},
    "redeliver_webhooks": {"dry_run": True},
    "test_webhook": {"url": "https://example.com/hook"},
    "pause_work": {"target": "owner:00000000"},
    "resume_work": {"target": "owner:00000000"},
}
NO_JOB = {"job": "job_" + "0" * 34}
OPERATORS: dict[str, str] = {}  # keys of operators where others need none, by URL of the service
# What is not of the API: pages for people, the document itself, files.
OUTSIDE = {"show_page", "get_document", "show_docs", "static"}


def test_the_copy_in_docs_is_the_document() -> None:
    assert json.loads(COPY.read_text("utf-8")) == json.loads(json.dumps(DOCUMENT)), "make openapi"


def test_every_route_is_in_the_document() -> None:
    routes = {operation_id(rule) for rule in APP.url_map.iter_rules()}
    assert routes - OUTSIDE == set(OPERATIONS)
    assert set(OPERATIONS) == set(CALLS)


def test_the_document_needs_no_key_and_the_page_nothing_from_elsewhere(http: httpx2.Client) -> None:
    assert http.get("/openapi.json").json()["openapi"] == "3.1.0"
    page = http.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page.text)
    for name in CALLS:
        assert f'id="{name}"' in page.text
    links, ids = (set(re.findall(pattern, page.text)) for pattern in (r'href="#(\w+)"', r'id="(\w+)"'))
    assert links <= ids
    assert "`" not in page.text


@dataclass
class Services:
    """One that serves, one without a worker, one that asks for keys, one without a Redis."""

    serving: str
    serving_store: JobStore
    idle: str
    idle_store: JobStore
    guarded: str
    key: dict[str, str]
    powerless_key: dict[str, str]
    dead: str


@pytest.fixture(scope="module")
def services(live: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    logs = tmp_path_factory.mktemp("contract")

    def store(url: str) -> JobStore:
        return JobStore.connect(Settings(redis_url=url))

    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        api_keys = ApiKeys(store(redis))
        keys = [api_keys.create("contract", scopes)[1] for scopes in (list(Scope), [])]
        patience = {"SENTIMENT_MAX_WAIT_S": "3", "SENTIMENT_MAX_BODY_S": "0.5"}
        idle = stack.enter_context(running_api(redis, logs / "idle.log", AUTH="none", **patience))
        slow = {"SENTIMENT_RATE_PER_S": "2", "SENTIMENT_RATE_BURST": "2", "SENTIMENT_MAX_WAIT_S": "0.05"}
        guarded = stack.enter_context(running_api(redis, logs / "guarded.log", **slow))
        with redis_server() as gone:
            dead = stack.enter_context(running_api(gone, logs / "dead.log", AUTH="none"))
        key, powerless_key = ({"authorization": f"Bearer {key}"} for key in keys)
        serving_store = store(worker_of(live).environ()["REDIS_URL"])
        operator_key, operator = ApiKeys(serving_store).create("contract", [Scope.OPERATOR])
        # Other files share this stack.
        stack.callback(ApiKeys(serving_store).revoke, operator_key.id)
        OPERATORS.update({live.url: operator, idle: keys[0], dead: keys[0]})
        yield Services(live.url, serving_store, idle, store(redis), guarded, key, powerless_key, dead)


def call(url: str, name: str, job_id: str = "job_nonsense", **request: Any) -> httpx2.Response:
    """Make a call that is right but for what is given."""
    method, path, _ = CALLS[name]
    if path.startswith("/v1/admin/") and url in OPERATORS:
        authorization = {"authorization": f"Bearer {OPERATORS[url]}"}
        request["headers"] = authorization | dict(request.get("headers", {}))
    if name in BODIES and "content" not in request:
        request.setdefault("json", BODIES[name])
    return httpx2.request(method, url + path.format(job_id=job_id, key_id=job_id), timeout=60, **request)


def made(url: str, **body: Any) -> str:
    headers = {"prefer": "wait=20"} if body.pop("wait", False) else {}
    answer = httpx2.post(f"{url}/v1/jobs", json={"text": "好", **body}, headers=headers, timeout=60)
    return str(answer.raise_for_status().json()["id"])


def over(services: Services) -> str:
    return made(services.serving, wait=True)


def ended_badly(services: Services) -> str:
    """A job whose item failed, on the service without a worker."""
    job_id = made(services.idle, priority="bulk")
    finish(services.idle_store, [BAD])
    return job_id


def compared(services: Services) -> str:
    """A job with a shadow, on the service without a worker."""
    models.register(services.idle_store, "another", {})
    return made(services.idle, compare_with="another", compare_share=1)


def while_it_waits(services: Services, begin: Callable[[], httpx2.Response]) -> httpx2.Response:
    """Have the job that a call makes end while the call waits for it."""
    with ThreadPoolExecutor() as caller:
        answer = caller.submit(begin)
        eventually(lambda: services.idle_store.redis.zcard(pending_key(Queue(MODEL_NAME, QueueClass.BULK))))
        finish(services.idle_store, [GOOD])
        return answer.result()


def until(status: int, begin: Callable[[], httpx2.Response]) -> httpx2.Response:
    return eventually(lambda: answer if (answer := begin()).status_code == status else None)  # type: ignore[return-value]


def success(name: str, services: Services) -> httpx2.Response:
    path = CALLS[name][1]
    headers = {"prefer": "wait=20"} if name == "create_job" else {}
    given = over(services) if "{job_id}" in path else ""
    if "{key_id}" in path:
        given = call(services.serving, "create_key").json()["id"]
    return call(services.serving, name, given, headers=headers)


def paused(services: Services) -> httpx2.Response:
    """Pause a key that asks for nothing."""
    target = {"target": f"owner:{call(services.serving, 'create_key').json()['id']}"}
    answer = call(services.serving, "pause_work", json=target)
    call(services.serving, "resume_work", json=target).raise_for_status()
    return answer


def in_flight(services: Services) -> httpx2.Response:
    job_id = services.serving_store.ids.issue("")
    uploads.reserve_key(services.serving_store, IdempotencyKey("", "in-flight", None), job_id)
    return call(services.serving, "create_job", headers={"idempotency-key": "in-flight"})


def deleted(services: Services) -> httpx2.Response:
    key = {"idempotency-key": "deleted"}
    job_id = call(services.serving, "create_job", headers=key).json()["id"]
    call(services.serving, "delete_job", job_id)
    return call(services.serving, "create_job", headers=key)


def known_already(services: Services) -> httpx2.Response:
    job_id = over(services)
    seen = call(services.serving, "stream_events", job_id).text
    (last,) = set(re.findall(r"^id: (.*)$", seen, re.MULTILINE))
    return call(services.serving, "stream_events", job_id, headers={"last-event-id": last})


def invalid(name: str, services: Services) -> httpx2.Response:
    if name.startswith("predict"):
        return call(services.serving, name, json={})
    return call(services.serving, name, over(services), params={"nope": "1"})


def too_large(name: str, services: Services) -> httpx2.Response:
    return call(services.serving, name, json={"text": "好" * 2_000_000})


def broken(name: str, services: Services) -> httpx2.Response:
    return call(services.serving, name, content=b"{", headers={"content-type": "application/json"})


def late(name: str, services: Services) -> httpx2.Response:
    def slowly() -> Iterator[bytes]:
        yield b"{"
        time.sleep(1)
        yield b"}"

    return call(services.idle, name, content=slowly(), headers={"content-type": "application/json"})


def retried(services: Services) -> httpx2.Response:
    headers, job_id = {"prefer": "wait=3"}, ended_badly(services)
    return while_it_waits(services, lambda: call(services.idle, "retry_job", job_id, headers=headers))


# How to get a status, of a call of its own or of any.
def of_its_own_key(its: Services, name: str, body: dict[str, Any] | None = None) -> httpx2.Response:
    """Call an operation on the key that the call itself uses."""
    key_id = its.key["authorization"].split("_")[1]
    return until(409, lambda: call(its.guarded, name, key_id, json=body, headers=its.key))


REACHED: dict[tuple[str, int], Callable[[Services], httpx2.Response]] = {
    ("create_job", 202): lambda its: call(its.serving, "create_job"),
    ("create_job", 409): in_flight,
    ("create_job", 410): deleted,
    ("cancel_job", 202): lambda its: call(its.idle, "cancel_job", made(its.idle)),
    ("retry_job", 200): retried,
    ("retry_job", 202): lambda its: call(its.idle, "retry_job", ended_badly(its)),
    ("retry_job", 409): lambda its: call(its.serving, "retry_job", over(its)),
    ("get_comparison", 200): lambda its: call(its.idle, "get_comparison", compared(its)),
    ("get_comparison", 409): lambda its: call(its.serving, "get_comparison", over(its)),
    ("stream_events", 204): known_already,
    ("redeliver_webhooks", 404): lambda its: call(its.serving, "redeliver_webhooks", json=NO_JOB),
    ("change_key", 409): lambda its: of_its_own_key(its, "change_key", {"description": "mine"}),
    ("revoke_key", 409): lambda its: of_its_own_key(its, "revoke_key"),
    ("rotate_key", 409): lambda its: of_its_own_key(its, "rotate_key", {"overlap_s": 0}),
    # Without a sender the right body is answered after seconds, and never too often.
    ("test_webhook", 429): lambda its: until(
        429, lambda: call(its.guarded, "test_webhook", json={}, headers=its.key)
    ),
    ("test_webhook", 404): lambda its: call(its.serving, "test_webhook", json=NO_JOB),
    ("pause_work", 200): paused,
}
ANY: dict[int, Callable[[str, Services], httpx2.Response]] = {
    200: success,
    201: success,
    204: success,
    400: broken,
    401: lambda name, its: until(401, lambda: call(its.guarded, name)),
    403: lambda name, its: until(403, lambda: call(its.guarded, name, headers=its.powerless_key)),
    404: lambda name, its: call(its.serving, name),
    408: late,
    410: lambda name, its: call(its.serving, name, its.serving_store.ids.issue("")),
    413: too_large,
    415: lambda name, its: call(its.serving, name, content=b"x", headers={"content-type": "text/plain"}),
    421: lambda name, its: call(its.idle, name, headers={"host": "elsewhere.example"}),
    422: invalid,
    429: lambda name, its: until(429, lambda: call(its.guarded, name, headers=its.key)),
    503: lambda name, its: call(its.dead, name),
    504: lambda name, its: call(its.idle, name),
}


@pytest.mark.parametrize(("name", "status"), STATUSES)
def test_a_documented_status_is_reached_and_is_as_documented(
    services: Services, name: str, status: int
) -> None:
    reach = REACHED.get((name, status)) or (lambda its: ANY[status](name, its))
    answer = reach(services)
    assert answer.status_code == status, answer.text
    described = CALLS[name][2]["responses"][str(status)]
    media = answer.headers.get("content-type", "").split(";")[0]
    assert media in (described.get("content") or {""})
    success = OPERATIONS[name].responses.get(status)
    if media.endswith("json"):
        model = success.content[media] if success else Problem
        TypeAdapter(model).validate_json(answer.content, strict=True)
