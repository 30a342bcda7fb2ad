"""Keys over HTTP: an operator does what `python -m api.auth` does, and every change is in the audit log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from local.redis_server import redis_server
from tasks.settings import Settings
from tasks.store import models
from tasks.store.audit import AuditFilter, append, entries, latest, this_user
from tasks.store.jobs import JobStore
from tests.api.test_access import bearer, everything_in, running_api
from tests.conftest import MODEL_NAME, eventually

CANARY = "金丝雀不该出现"


@dataclass
class Service:
    """A service that asks for keys, and its operator."""

    http: httpx2.Client
    url: str
    redis_url: str
    store: JobStore
    operator: str  # the id of its key
    log: Path

    def call(self, method: str, path: str, **request: Any) -> httpx2.Response:
        return self.http.request(method, f"/v1/admin{path}", **request)

    def audit(self, **query: str) -> list[dict[str, Any]]:
        answer = self.call("GET", "/audit", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("operator") / "api.log"
    with redis_server() as redis_url:
        store = JobStore.connect(Settings(redis_url=redis_url))
        models.register(store, MODEL_NAME, {})
        key, token = ApiKeys(store).create("operator", [Scope.OPERATOR])
        with (
            running_api(redis_url, log) as url,
            httpx2.Client(base_url=url, headers=bearer(token), timeout=30) as http,
        ):
            yield Service(http, url, redis_url, store, key.id, log)


def status(service: Service, token: str) -> int:
    return httpx2.get(f"{service.url}/v1/queue", headers=bearer(token)).status_code


def test_an_operator_makes_changes_rotates_and_revokes_a_key(service: Service) -> None:
    made = service.call("POST", "/keys", json={"name": "shop", "limits": {"rate": 5.0, "burst": 9.0}})
    assert made.status_code == 201
    key = made.json()
    path = f"/keys/{key['id']}"
    assert made.headers["location"] == f"/v1/admin{path}"
    shown = service.call("GET", path).json()
    assert shown == {name: value for name, value in key.items() if name != "secret"}
    assert shown in service.call("GET", "/keys").json()["data"]
    eventually(lambda: status(service, key["secret"]) == 200)
    changed = service.call("PATCH", path, json={"limits": {"rate": None}, "description": "夜里"}).json()
    assert (changed["limits"]["rate"], changed["limits"]["burst"]) == (None, 9)
    assert (changed["name"], changed["description"]) == ("shop", "夜里")
    rotated = service.call("POST", f"{path}/rotate", json={"overlap_s": 1}).json()
    assert rotated["secret"] != key["secret"]
    eventually(lambda: status(service, rotated["secret"]) == 200)
    eventually(lambda: status(service, key["secret"]) == 401, within_s=8)
    assert service.call("DELETE", path).status_code == 204
    eventually(lambda: status(service, rotated["secret"]) == 401, within_s=8)
    for method, where, body in (("GET", path, None), ("PATCH", path, {}), ("POST", f"{path}/rotate", {})):
        answer = service.call(method, where, json=body) if body is not None else service.call(method, where)
        assert (answer.status_code, answer.json()["code"]) == (404, "key_not_found")
    entries = service.audit(key=key["id"])[::-1]
    done = [entry["action"] for entry in entries if entry["outcome"] == "done"]
    assert done == ["create", "change", "rotate", "revoke"]
    assert {entry["by"] for entry in entries} == {service.operator}
    assert {entry["address"] for entry in entries} == {"127.0.0.1"}
    assert [entry["outcome"] for entry in entries if entry["outcome"] != "done"] == ["key_not_found"] * 2
    kept = everything_in(service.redis_url) + service.log.read_text("utf-8")
    for token in (key["secret"], rotated["secret"]):
        assert token.split("_", 2)[2] not in kept


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "a\u0007b"}, "/name"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["root"]}, "/scopes/0"),
        ({"name": "x", "scopes": ["read", "read"]}, "/scopes"),
        ({"name": "x", "expires_at": 5}, "/expires_at"),
        ({"name": "x", "expires_at": "2027-01-01"}, "/expires_at"),
        ({"name": "x", "limits": {"burst": 1.5}}, "/limits/burst"),
        ({"name": "x", "limits": {"rate": 0}}, "/limits/rate"),
        ({"name": "x", "limits": {"rate": 1e-300}}, "/limits/rate"),
        ({"name": "x", "weight": 1000}, "/weight"),
        ({"name": "x", "colour": "red"}, "/colour"),
    ],
)
def test_a_wrong_field_of_a_key_is_named(service: Service, body: dict[str, Any], pointer: str) -> None:
    answer = service.call("POST", "/keys", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("PATCH", "", {"limits": {"rate": 1000}}), ("DELETE", "", None), ("POST", "/rotate", {"overlap_s": 0})],
)
def test_an_operator_does_not_change_the_key_of_the_call(
    service: Service, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = service.call(method, f"/keys/{service.operator}{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "own_key")
    assert service.call("GET", f"/keys/{service.operator}").json()["secrets"] == 1
    assert service.audit(key=service.operator)[0]["outcome"] == "own_key"


def test_what_callers_do_to_jobs_is_in_the_log_and_on_stdout_without_their_texts(service: Service) -> None:
    key, token = ApiKeys(service.store).create("anna", [Scope.SUBMIT, Scope.READ, Scope.CANCEL])
    with httpx2.Client(base_url=service.url, headers=bearer(token), timeout=30) as http:
        eventually(lambda: http.get("/v1/queue").status_code == 200)
        items = [{"text": CANARY, "id": f"id-{CANARY}", "data": {"k": CANARY}}]
        body = {"items": items, "metadata": {"where": CANARY}}
        job_id = http.post("/v1/jobs", json=body, headers={"idempotency-key": "one"}).json()["id"]
        http.post("/v1/jobs", json=body, headers={"idempotency-key": "one"})
        http.post(f"/v1/jobs/{job_id}/retry")
        http.post(f"/v1/jobs/{job_id}/cancel")
        http.delete(f"/v1/jobs/{job_id}")
        http.post("/v1/jobs", json={"text": CANARY, "nope": 1})
        http.delete(f"/v1/jobs/{CANARY}")
        http.get(f"/v1/jobs/{job_id}")
    entries = service.audit(by=key.id)[::-1]
    seen = [(entry["action"], entry["job"], entry["outcome"], entry["detail"]) for entry in entries]
    assert seen == [
        ("create_job", job_id, "done", ""),
        ("create_job", job_id, "done", "replayed"),
        ("retry_job", job_id, "job_not_finished", ""),
        ("cancel_job", job_id, "done", ""),
        ("delete_job", job_id, "done", ""),
        ("create_job", "", "invalid_request", ""),
        ("delete_job", "", "job_not_found", ""),
    ]
    logged = service.log.read_text("utf-8")
    lines = [json.loads(line) for line in re.findall(r'\{"audit".*\}', logged)]
    mine = [
        (line["audit"], line.get("job_id", ""), line["outcome"]) for line in lines if line["by"] == key.id
    ]
    assert mine == [each[:3] for each in seen]
    assert CANARY not in "".join(map(str, entries)) + logged.replace(f"/v1/jobs/{CANARY}", "")


def test_the_log_is_paged_and_filtered(service: Service, store: JobStore) -> None:
    for number in range(5):
        append(store.redis, "create" if number % 2 else "revoke", f"0000000{number}")
    charged: list[int] = []

    def read(cursor: str | None, **fields: str) -> tuple[list[str], str | None]:
        found, more = latest(store, AuditFilter(fields), cursor, 2, charge=lambda: charged.append(1))
        return [entry.key_id[-1] for entry in found], more

    first, cursor = read(None)
    second, further = read(cursor)
    third, end = read(further)
    assert (first, second, third, end) == (["4", "3"], ["2", "1"], ["0"], None)
    assert read(None, action="create") == (["3", "1"], read(None, action="create")[1])
    assert charged == []
    epoch = AuditFilter(after_ms=-5, before_ms=-1)
    assert latest(store, epoch, None, 2, charge=lambda: None) == ([], None)
    assert latest(store, AuditFilter(), "00-0", 2, charge=lambda: None) == ([], None)
    for cursor in ("x", "1", "1-", "9" * 20 + "-0", "-1-0"):
        answer = service.call("GET", "/audit", params={"cursor": cursor})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "?cursor"


def test_the_log_has_a_bounded_length(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.store.audit.MAX_ENTRIES", {"sentiq:audit": 500})
    pipe = store.redis.pipeline()
    for number in range(2000):
        append(pipe, "create", f"{number:08}")
    pipe.execute()
    assert 500 <= store.redis.xlen("sentiq:audit") <= 700


def test_refused_calls_push_no_changes_out_of_the_log(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("sentiq:audit", "sentiq:audit:jobs", "sentiq:audit:refused")
    monkeypatch.setattr("tasks.store.audit.MAX_ENTRIES", dict.fromkeys(names, 200))
    append(store.redis, "revoke", "0000000a")
    append(store.redis, "create_job", job_id="job_1")
    pipe = store.redis.pipeline()
    for number in range(1000):
        append(pipe, "delete_job", job_id=f"job_{number}", outcome="job_not_found")
    pipe.execute()
    for _ in range(1000):
        append(pipe, "delete_job", job_id="job_2")
    pipe.execute()
    assert [entry.key_id for entry in entries(store.redis) if entry.action == "revoke"] == ["0000000a"]
    refused = AuditFilter({"outcome": "job_not_found"})
    assert latest(store, refused, None, 1, charge=lambda: None)[0][0].job_id == "job_999"


def test_entries_of_three_streams_with_one_id_are_each_read_once(store: JobStore) -> None:
    names = ("sentiq:audit", "sentiq:audit:jobs", "sentiq:audit:refused")
    for number, name in enumerate(names * 3):
        fields = {"action": "create", "by": str(number)}
        store.redis.xadd(name, fields, id=f"{1000 + number // 3}-0")
    read, cursor = list[str](), None
    while True:
        found, cursor = latest(store, AuditFilter(), cursor, 1, charge=lambda: None)
        read += [entry.by for entry in found]
        if cursor is None:
            break
    assert read == list("876543210")
    assert [entry.by for entry in entries(store.redis)] == list("012345678")


def test_a_command_is_its_own_address(service: Service) -> None:
    ApiKeys(service.store).create("made by a command", [Scope.READ])
    (entry,) = service.audit(action="create", limit="1")
    assert (entry["by"], entry["address"]) == (this_user().by, "command line")
