"""The users of Redis: the real programs do all their work as them, and nothing else is allowed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import redis
from sentiq import Sentiq

from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from local.logs import Log
from local.ports import free_port
from local.processes import ROOT, Group, Process, stop
from local.redis_server import find_server
from local.stack import Plan, Stack
from tasks.settings import Settings
from tasks.store import deliveries, keys, pauses
from tasks.store.audit import Author
from tasks.store.jobs import JobStore
from tasks.vocabulary.pauses import PauseTarget
from tests.conftest import eventually
from tests.servers.found import identify

ROLES = ("api", "worker", "webhooks", "flower")
FLOWER = ("deploy.flower.app", "flower", "--conf=deploy/flower/flowerconfig.py", "--address=127.0.0.1")
JOB = keys.job_key("job_" + 34 * "A")


class RoleStack(Stack):
    """A stack whose processes connect as the users of their roles."""

    def _start(self, name: str, *command: str) -> Process:
        self._redis_url = as_role(name, urls_port(self._plan))
        return super()._start(name, *command)


def urls_port(plan: Plan) -> int:
    return int((plan.redis_url or "").rpartition(":")[2])


def as_role(role: str, port: int) -> str:
    return f"redis://{role}:secret-of-{role}@127.0.0.1:{port}/0"


def users(**variables: str) -> bytes:
    """Return the users as the script prints them."""
    passwords = {f"REDIS_{role.upper()}_PASSWORD": f"secret-of-{role}" for role in ROLES}
    passwords["REDIS_ADMIN_PASSWORD"] = "secret-of-default"  # noqa: S105 - of this test
    script = ["/bin/sh", str(ROOT / "deploy" / "redis" / "users.sh")]
    env = os.environ | passwords | variables
    return subprocess.run(script, env=env, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a server with the users; give its port."""
    with running(tmp_path_factory.mktemp("users"), users()) as port:
        yield port


@contextmanager
def running(folder: Path, listed: bytes) -> Iterator[int]:
    """Run a server with such users; give its port."""
    server = identify(Path(find_server()))
    if server and server.version < (7,):
        pytest.skip("the users of roles have permissions that Redis 6.2 lacks")
    file, port = folder / "users.acl", free_port()
    file.write_bytes(listed)
    with Group() as group:
        options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--aclfile", str(file))
        process = Process("redis", group.popen([find_server(), *options], env=None))
        eventually(lambda: answers(port))
        yield port
        stop([process], 5)


def answers(port: int) -> bool:
    try:
        return bool(user("worker", port).ping())
    except redis.exceptions.ConnectionError:
        return False


def user(role: str, port: int) -> redis.Redis:
    return redis.Redis.from_url(as_role(role, port))


def test_each_program_can_do_all_its_work(
    server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload, a job with a webhook, a cancel, a delete, the reconciler, and Flower: nothing is denied."""
    monkeypatch.setenv("SENTIMENT_WEBHOOK_ALLOW", "127.0.0.1")
    plan = Plan(port=free_port(), redis_url=f"redis://127.0.0.1:{server}")
    with Group() as group, (tmp_path / "log").open("w", encoding="utf-8") as log:
        stack = RoleStack(plan, group, Log(log))
        stack.start()
        stack._start(
            "flower", "celery", "-A", *FLOWER, f"--port={free_port()}", f"--db={tmp_path / 'flower'}"
        )
        try:
            with Sentiq(stack.url) as client:
                stack.await_api(client)
                stack.score(client, "服务很贴心")
                use_everything(stack.url)
                monkeypatch.setattr(pauses, "_PATIENCE_S", -1)  # the reconciler does it
                pause_and_resume(stack.url, server)
                operate(stack.url, server)
            eventually(lambda: {"api", "worker", "flower"} <= subscribers(server))
            eventually(lambda: user("api", server).exists(keys.RECONCILER))
        finally:
            stack.stop()
    denied = user("default", server).acl_log()
    assert denied == []


def subscribers(port: int) -> set[str]:
    """Return the users that subscribe to a channel."""
    listed: list[dict[str, str]] = user("default", port).client_list(_type="pubsub")
    return {client["user"] for client in listed}


def use_everything(url: str) -> None:
    with httpx2.Client(base_url=url, timeout=60, trust_env=False) as http:
        hook = {"url": f"http://127.0.0.1:{free_port()}/"}
        job = http.post("/v1/jobs", json={"text": "很好", "webhook": hook}, headers={"Prefer": "wait=20"})
        path = job.headers["location"]
        eventually(lambda: "not_connected" in http.get(f"{path}/deliveries").text)
        lines = '{"text":"好"}\n{"text":""}\n' * 200
        upload = {"Content-Type": "application/x-ndjson"}
        bulk = http.post("/v1/jobs", content=lines, headers=upload).headers["location"]
        eventually(lambda: http.get(bulk).json()["counts"]["pending"] == 0)
        time = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
        later = http.post("/v1/jobs", json={"text": "好", "not_before": time}).headers["location"]
        eventually(lambda: http.get(later).json()["status"] == "succeeded")
        doomed = http.post("/v1/jobs", json={"items": [{"text": "还行" * 2000}] * 50}).headers["location"]
        assert http.post(f"{doomed}/cancel").is_success
        assert http.get("/v1/jobs").is_success
        assert http.get("/metrics").is_success
        eventually(lambda: http.delete(bulk).status_code == 204)


def operate(url: str, server: int) -> None:
    """Have a webhook tested and made again, and look at all that operators see."""
    store = JobStore.connect(Settings(redis_url=as_role("api", server)))
    _, token = ApiKeys(store).create("operator", [Scope.OPERATOR])
    headers = {"authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=f"{url}/v1/admin", headers=headers, timeout=60, trust_env=False) as http:
        test = http.post("/webhook_tests", json={"url": f"http://127.0.0.1:{free_port()}/"})
        assert test.json()["error"] == "not_connected"
        again = http.post("/redeliveries", json={"status": "pending", "dry_run": False})
        (job,) = again.raise_for_status().json()["data"]
        log = deliveries.read_log
        eventually(lambda: len(getattr(log(store, job["job"]), "attempts", ())) > 1)
        for path in ("deliveries", "workers", "owners", "jobs", "failures", "audit", "usage", "keys"):
            assert http.get(f"/{path}").is_success, path


def pause_and_resume(url: str, port: int) -> None:
    store = JobStore.connect(Settings(redis_url=as_role("api", port)))
    bulk, operator = PauseTarget.parse("class:bulk"), Author("operator")
    with httpx2.Client(base_url=url, timeout=60, trust_env=False) as http:
        time = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        later = http.post("/v1/jobs", json={"text": "好", "not_before": time}).headers["location"]
        pauses.pause(store, bulk, operator)
        eventually(lambda: http.get(later).json()["paused"])
        job = http.post("/v1/jobs", json={"text": "好", "priority": "bulk"}).headers["location"]
        assert http.get(job).json()["paused"]
        pauses.resume(store, bulk, operator)
        eventually(lambda: http.get(job).json()["status"] == "succeeded")
        eventually(lambda: not store.redis.exists(keys.UNSETTLED))
        assert http.post(f"{later}/cancel").json()["paused"] is None


@pytest.mark.parametrize(
    ("role", "command"),
    [
        *((role, "GET sentiq:id_secret") for role in ("worker", "webhooks", "flower")),
        *((role, f"HSET {keys.PAUSES} a b") for role in ("worker", "webhooks", "flower")),
        *((role, f"HSET {keys.API_KEYS} a b") for role in ("worker", "webhooks", "flower")),
        *((role, f"GET {keys.RATES}") for role in ("worker", "webhooks", "flower")),
        *((role, f"GET {keys.WEBHOOK_SECRET}") for role in ("worker", "flower")),
        ("webhooks", f"HGETALL {JOB}:chunks"),
        ("webhooks", f"HGETALL {JOB}:results"),
        ("webhooks", f"HSET {JOB} status failed"),
        ("webhooks", "LPUSH sentiq.sentiq-zh-small x"),
        ("flower", "PUBLISH /0.sentiq.pidbox x"),
        ("flower", "PUBLISH /0.sentiqev/x x"),
        ("flower", "LPUSH reply.sentiq.pidbox x"),
        ("flower", "LPUSH sentiq.sentiq-zh-small x"),
        ("flower", f"HGETALL {JOB}"),
        *((role, "SCAN 0") for role in ("worker", "webhooks", "flower")),
        *(
            (role, command)
            for role in ROLES
            for command in ("CONFIG GET *", "FLUSHALL", "KEYS *", "ACL LIST", "CLIENT LIST", "SHUTDOWN")
        ),
    ],
)
def test_a_role_can_do_nothing_else(server: int, role: str, command: str) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        user(role, server).execute_command(*command.split())


def test_where_answers_wait_for_the_disk_the_api_may_ask_for_it_and_no_more(tmp_path: Path) -> None:
    listed = users(DURABLE="true")
    if not user_knows_waitaof(tmp_path):
        listed = listed.replace(b" +waitaof", b"")
    with running(tmp_path, listed) as port:
        assert user("api", port).config_get("appendfsync")
        for command in ("CONFIG SET appendfsync no", "CONFIG REWRITE", "BLPOP sentiq:x 1"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                user("api", port).execute_command(*command.split())
        for role in ("worker", "webhooks", "flower"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                user(role, port).config_get("appendfsync")


def user_knows_waitaof(folder: Path) -> bool:
    with running(folder, users()) as port:
        try:
            return bool(user("default", port).execute_command("ACL", "SETUSER", "tried", "+waitaof"))
        except redis.ResponseError:
            return False


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("api", "GET sentiq:id_secret"),
        ("webhooks", f"HGETALL {JOB}"),
        ("worker", f"HGETALL {JOB}:chunks"),
        ("flower", "LLEN sentiq.sentiq-zh-small"),
    ],
)
def test_what_a_role_needs_is_allowed(server: int, role: str, command: str) -> None:
    user(role, server).execute_command(*command.split())


@pytest.mark.parametrize("role", ["ADMIN", *(role.upper() for role in ROLES)])
def test_redis_refuses_a_default_password_where_others_can_connect(role: str) -> None:
    passwords = {f"REDIS_{each.upper()}_PASSWORD": "long-and-random" for each in ("admin", *ROLES)}
    passwords[f"REDIS_{role}_PASSWORD"] = f"local-{role.lower()}"
    refusal = f"redis: BIND=192.168.1.4 lets other machines connect: set REDIS_{role}_PASSWORD"
    assert refusal in start(passwords | {"BIND": "192.168.1.4"})
    for here in ("127.0.0.1", "::1", "localhost", ""):
        assert "BIND" not in start(passwords | {"BIND": here})
    passwords[f"REDIS_{role}_PASSWORD"] = "long-and-random"
    assert "BIND" not in start(passwords | {"BIND": "192.168.1.4"})


def start(variables: dict[str, str]) -> str:
    """Run the start script of the container; return what it says before it fails outside a container."""
    script = ["/bin/sh", str(ROOT / "deploy" / "redis" / "start.sh")]
    done = subprocess.run(script, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return done.stderr
