"""Keys, scopes and rates, on a service that asks for keys."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from api.auth.api_keys import ApiKeys
from local.logs import Log
from local.ports import free_port
from local.processes import Group, Process
from local.redis_server import redis_server
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tasks.store.keys import WEIGHTS
from tasks.vocabulary.hosts import in_url
from tests.conftest import MODEL_NAME, eventually

JOB = {"text": "服务很贴心"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def keys(redis_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api.auth", *arguments]
    env = os.environ | {"REDIS_URL": redis_url}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)


def token_in(printed: str) -> str:
    (token,) = set(re.findall(r"sentiq_[0-9a-f]{8}_\S+", printed))
    return str(token)


def made(redis_url: str, *scopes: str) -> str:
    options = [option for scope in scopes for option in ("--scope", scope)]
    done = keys(redis_url, "create", "小明的服务", *options)
    assert done.returncode == 0, done.stderr
    return token_in(done.stdout)


def everything_in(redis_url: str) -> str:
    """All keys of a Redis with their values, to be searched."""
    store: Any = redis.Redis.from_url(redis_url)
    read = {
        b"string": store.get,
        b"hash": store.hgetall,
        b"list": lambda key: store.lrange(key, 0, -1),
        b"set": store.smembers,
        b"stream": store.xrange,
        b"zset": lambda key: store.zrange(key, 0, -1),
    }
    return "".join(f"{key} {read[store.type(key)](key)}" for key in store.scan_iter())


@contextmanager
def running_api(
    redis_url: str, log: Path, host: str = "127.0.0.1", prefix: str = "", **variables: str
) -> Iterator[str]:
    """An API without a worker: gunicorn as it runs in production; `prefix` is the path of its mount."""
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AUTH", raising=False)
        for name, value in (_at(redis_url, host, port) | variables).items():
            patch.setenv(name, value)
        with log.open("w", encoding="utf-8") as file, Group() as group:
            command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py", "api.wsgi:app"]
            api = Process("api", group.popen(command, None), Log(file))
            url = f"http://{in_url(host)}:{port}{prefix}"
            eventually(lambda: answers(url, api), within_s=120)
            yield url


def _at(redis_url: str, host: str, port: int) -> dict[str, str]:
    return {
        "REDIS_URL": redis_url,
        "SENTIMENT_HOST": host,
        "PORT": str(port),
        "SENTIMENT_DEFAULT_MODEL": MODEL_NAME,
    }


def answers(url: str, api: Process) -> bool:
    api.check()
    try:
        return httpx2.get(f"{url}/livez", trust_env=False).is_success
    except httpx2.TransportError:
        return False


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """URL of a service that asks for keys, URL of its Redis, and its log."""
    log = tmp_path_factory.mktemp("guarded") / "api.log"
    with redis_server() as redis_url:
        made(redis_url)
        with running_api(redis_url, log, SENTIMENT_LOG_LEVEL="debug") as url:
            yield url, redis_url, log


@pytest.fixture
def api(guarded: tuple[str, str, Path]) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=guarded[0], timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def make_key(api: httpx2.Client, guarded: tuple[str, str, Path]) -> Callable[..., dict[str, str]]:
    """Make a key with these scopes; return the header that a caller sends."""

    def make(*scopes: str) -> dict[str, str]:
        headers = bearer(made(guarded[1], *scopes))
        eventually(lambda: api.get("/v1/info", headers=headers).status_code != 401)
        return headers

    return make


def test_a_service_without_keys_refuses_to_start_and_says_what_to_do(redis_url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py", "api.wsgi:app"]
    env = os.environ | {"REDIS_URL": redis_url, "PORT": str(free_port())}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert "python -m api.auth create" in done.stderr
    assert "AUTH=none" in done.stderr
    with running_api(redis_url, tmp_path / "api.log", AUTH="none") as url:
        assert httpx2.post(f"{url}/v1/jobs", json=JOB).status_code == 202


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "key_missing"),
        ("", "key_missing"),
        ("Bearer", "key_missing"),
        ("Basic dTpw", "key_missing"),
        ("Bearer nonsense", "key_unknown"),
        ("Bearer sentiq_00000000_" + "A" * 43, "key_unknown"),
        ("Bearer sentiq__", "key_unknown"),
    ],
)
def test_without_a_known_key_the_answer_is_401_with_a_challenge(
    api: httpx2.Client, header: str | None, code: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    for answer in (api.post("/v1/jobs", json=JOB, headers=headers), api.get("/v1/info", headers=headers)):
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith('Bearer realm="sentiq"')
        assert ('error="invalid_token"' in answer.headers["www-authenticate"]) is (code == "key_unknown")


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/metrics", "/static/page.js"])
def test_what_tells_nothing_of_anybody_is_open(api: httpx2.Client, path: str) -> None:
    assert api.get(path).status_code == 200


@pytest.mark.parametrize(
    ("scope", "method", "path", "allowed"),
    [
        ("submit", "POST", "/v1/jobs", True),
        ("submit", "GET", "/v1/info", False),
        ("read", "GET", "/v1/info", True),
        ("read", "POST", "/v1/jobs", False),
        ("read", "POST", "/predict", False),
        ("cancel", "GET", "/v1/info", False),
        ("admin", "POST", "/v1/jobs", True),
        ("admin", "GET", "/v1/info", True),
    ],
)
def test_a_key_may_do_what_its_scopes_say(  # noqa: PLR0913  a table of cases and two fixtures
    api: httpx2.Client,
    make_key: Callable[..., dict[str, str]],
    scope: str,
    method: str,
    path: str,
    *,
    allowed: bool,
) -> None:
    body = {"json": JOB} if method == "POST" else {}
    answer = api.request(method, path, headers=make_key(scope), **body)  # type: ignore[arg-type]
    if allowed:
        assert answer.is_success, answer.text
        return
    problem = answer.json()
    missing = "submit" if method == "POST" else "read"
    assert (answer.status_code, problem["code"]) == (403, "scope_missing")
    assert f"scope {missing}" in problem["detail"]
    assert f'scope="{missing}"' in answer.headers["www-authenticate"]


def test_a_rotated_key_has_two_live_secrets_until_the_old_one_is_revoked(
    api: httpx2.Client, guarded: tuple[str, str, Path]
) -> None:
    first = made(guarded[1])
    key_id = first.split("_")[1]
    second = token_in(keys(guarded[1], "rotate", key_id).stdout)

    def statuses(*tokens: str) -> list[int]:
        return [api.get("/v1/info", headers=bearer(token)).status_code for token in tokens]

    eventually(lambda: statuses(first, second) == [200, 200])
    third = token_in(keys(guarded[1], "rotate", key_id).stdout)
    eventually(lambda: statuses(first, second, third) == [401, 200, 200])
    assert keys(guarded[1], "revoke", "--old", key_id).returncode == 0
    eventually(lambda: statuses(second, third) == [401, 200], within_s=5)
    assert keys(guarded[1], "revoke", key_id).returncode == 0
    eventually(lambda: statuses(third) == [401], within_s=5)


def test_the_command_lists_keys_without_secrets_and_knows_unknown_ids(redis_url: str) -> None:
    assert "no keys" in keys(redis_url, "list").stdout
    token = made(redis_url, "read", "submit")
    listed = keys(redis_url, "list").stdout
    assert re.search(rf"{token.split('_')[1]}\s+小明的服务\s+20\d\d-\S+ \S+\s+1\s+submit read", listed)
    assert "sentiq_" not in listed
    for command in (["rotate", "0000"], ["revoke", "0000"], ["revoke", "--old", "0000"]):
        done = keys(redis_url, *command)
        assert done.returncode == 1
        assert "0000" in done.stderr
    assert keys("redis://127.0.0.1:1/0", "list").stderr.startswith("api.auth: Redis does not answer")


def test_the_weight_of_a_key_is_set_and_changed_and_told_to_the_scripts(
    redis_url: str, store: JobStore
) -> None:
    keys(redis_url, "create", "plain")
    created = keys(redis_url, "create", "night", "--weight", "0.5")
    key_id = token_in(created.stdout).split("_")[1]
    assert store.redis.hgetall(WEIGHTS) == {key_id.encode(): b"0.5"}, "only what is not 1"
    assert keys(redis_url, "weigh", key_id, "3").returncode == 0
    assert store.redis.hgetall(WEIGHTS) == {key_id.encode(): b"3"}
    assert re.search(rf"{key_id} .* 3 +0$", keys(redis_url, "list").stdout, re.MULTILINE)
    for wrong in ("0", "101", "nan", "much"):
        refused = keys(redis_url, "weigh", key_id, wrong)
        assert (refused.returncode, "from 0.1 to 100" in refused.stderr) == (2, True)
    assert keys(redis_url, "weigh", key_id, "1").returncode == 0
    assert not store.redis.exists(WEIGHTS)
    keys(redis_url, "weigh", key_id, "2")
    keys(redis_url, "revoke", key_id)
    assert not store.redis.exists(WEIGHTS)
    assert re.findall("weigh .*night: ([0-9]+)", keys(redis_url, "audit").stdout) == ["3", "1", "2"]


def test_secrets_are_neither_in_redis_nor_in_logs_or_answers(
    api: httpx2.Client, guarded: tuple[str, str, Path]
) -> None:
    _, redis_url, log = guarded
    token = made(redis_url, "read")
    secret = token.split("_", 2)[2]
    refused = api.post("/v1/jobs", json=JOB, headers=bearer(token))
    assert refused.status_code == 403
    broken = api.get("/v1/info", headers=bearer(token + "x"))
    assert broken.status_code == 401
    eventually(lambda: "key_unknown" in log.read_text("utf-8"))
    kept = everything_in(redis_url)
    assert hashlib.sha256(secret.encode()).hexdigest() in kept, "the hash is there"
    for place in (log.read_text("utf-8"), refused.text, broken.text, kept):
        assert secret not in place


def test_the_log_names_the_key_of_each_job(
    api: httpx2.Client, guarded: tuple[str, str, Path], make_key: Callable[..., dict[str, str]]
) -> None:
    key = make_key("submit", "cancel")
    key_id = key["Authorization"].split("_")[1]
    lines = {"content-type": "application/x-ndjson"}
    bodies: list[dict[str, Any]] = [{"json": JOB}, {"content": b'"\xe5\xa5\xbd"\n', "headers": key | lines}]
    for body in bodies:
        job_id = api.post("/v1/jobs", **({"headers": key} | body)).json()["id"]
        api.post(f"/v1/jobs/{job_id}/cancel", headers=key)
        api.delete(f"/v1/jobs/{job_id}", headers=key)
        for action in ("accepted", "canceled", "deleted"):
            line = rf"{action} {job_id}\b.*\(key {key_id}, request \w+\)"
            eventually(partial(is_logged, guarded[2], line), within_s=5)


def is_logged(log: Path, pattern: str) -> bool:
    return re.search(pattern, log.read_text("utf-8")) is not None


def test_keys_outlive_a_redis_that_is_away_for_a_while(settings: Settings) -> None:
    store = JobStore.connect(settings)
    api_keys = ApiKeys(store)
    key, token = api_keys.create("x", [])
    assert api_keys.find(token) == key
    api_keys._checked_at -= 60
    store.redis.connection_pool.disconnect()
    store.redis.connection_pool.connection_kwargs["port"] = 1
    assert api_keys.find(token) == key


def test_too_many_requests_are_told_when_to_come_back(redis_url: str, tmp_path: Path) -> None:
    limits = {"SENTIMENT_RATE_PER_S": "5", "SENTIMENT_RATE_BURST": "10"}
    first, second = made(redis_url), made(redis_url)
    with running_api(redis_url, tmp_path / "api.log", **limits) as url, httpx2.Client(base_url=url) as http:
        got = [http.get("/v1/info", headers=bearer(first)) for _ in range(30)]
        statuses = [answer.status_code for answer in got]
        assert statuses[:10] == [200] * 10, "a burst is fine"
        refused = next(answer for answer in got if answer.status_code == 429)
        assert refused.json()["code"] == "rate_limited"
        counted = f'sentiq_refused_requests_total{{reason="rate_limited"}} {statuses.count(429)}.0'
        assert counted in http.get("/metrics").text
        assert 1 <= int(refused.headers["retry-after"]) == refused.json()["retry_after_s"] <= 5
        assert "5 requests a second" in refused.json()["detail"]
        assert http.get("/v1/info", headers=bearer(second)).status_code == 200, "others are not concerned"
        assert http.get("/readyz").status_code == 200, "probes are not counted"
        eventually(lambda: http.get("/v1/info", headers=bearer(first)).status_code == 200)


def test_without_keys_rates_are_counted_by_address(redis_url: str, tmp_path: Path) -> None:
    limits = {"SENTIMENT_RATE_PER_S": "5", "SENTIMENT_RATE_BURST": "10", "AUTH": "none"}
    with running_api(redis_url, tmp_path / "api.log", **limits) as url, httpx2.Client(base_url=url) as http:
        assert {http.get("/v1/info").status_code for _ in range(30)} == {200, 429}
        assert (
            "This address"
            in next(answer for _ in range(30) if (answer := http.get("/v1/info")).status_code == 429).json()[
                "detail"
            ]
        )


def test_behind_a_proxy_each_caller_has_an_address_and_a_rate_of_its_own(
    redis_url: str, tmp_path: Path
) -> None:
    limits = {"SENTIMENT_RATE_PER_S": "1", "SENTIMENT_RATE_BURST": "10", "AUTH": "none"}
    one, other = {"X-Forwarded-For": "203.0.113.1"}, {"X-Forwarded-For": "203.0.113.2"}
    with running_api(redis_url, tmp_path / "api.log", SENTIMENT_PROXIES="1", **limits) as url:
        assert {httpx2.get(f"{url}/v1/info", headers=one).status_code for _ in range(30)} == {200, 429}
        assert httpx2.get(f"{url}/v1/info", headers=other).status_code == 200
    with running_api(redis_url, tmp_path / "api.log", **limits) as url:
        answers = [httpx2.get(f"{url}/v1/info", headers=forged(n)).status_code for n in range(30)]
        assert set(answers) == {200, 429}, "without a proxy nobody may claim an address"


def forged(number: int) -> dict[str, str]:
    return {"X-Forwarded-For": f"203.0.113.{number}"}


@pytest.mark.parametrize("method", ["GET", "cancel", "retry", "DELETE", "results", "events"])
def test_the_job_of_another_key_is_not_found_on_any_path(
    api: httpx2.Client, make_key: Callable[..., dict[str, str]], method: str
) -> None:
    mine, other = make_key("submit", "read", "cancel"), make_key("admin")
    path = api.post("/v1/jobs", json=JOB, headers=mine).headers["location"]
    if method in ("cancel", "retry"):
        answer = api.post(f"{path}/{method}", headers=other)
    elif method in ("results", "events"):
        answer = api.get(f"{path}/{method}", headers=other)
    else:
        answer = api.request(method, path, headers=other)
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    assert api.get(path, headers=mine).status_code == 200
    listed = api.get("/v1/jobs", headers=other).json()["data"]
    assert path not in [job["links"]["self"] for job in listed]


def test_cancelling_needs_its_scope_and_looking_up_only_that_of_reading(
    api: httpx2.Client, make_key: Callable[..., dict[str, str]]
) -> None:
    submitter, reader, canceler = make_key("submit"), make_key("read"), make_key("cancel")
    path = api.post("/v1/jobs", json=JOB, headers=submitter).headers["location"]
    for answer in (
        api.post(f"{path}/cancel", headers=submitter),
        api.delete(path, headers=reader),
        api.post("/v1/jobs/lookup", json={"ids": ["x"]}, headers=submitter),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert api.post("/v1/jobs/lookup", json={"ids": ["x"]}, headers=reader).status_code == 200
    assert api.post(f"{path}/cancel", headers=canceler).status_code == 404, (
        "the scope is there, the job is not"
    )
