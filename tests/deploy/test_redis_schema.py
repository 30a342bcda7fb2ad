"""docs/redis.md names every key that is ever written, with its type."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest
import redis

from local.stack import Stack
from tasks.store import keys
from tests.conftest import eventually

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "redis.md").read_text("utf-8")
TYPES = {
    "string": b"string",
    "strings": b"string",
    "hash": b"hash",
    "list": b"list",
    "set": b"set",
    "sorted set": b"zset",
    "stream": b"stream",
}
# Those of Celery, and of the library that limits rates.
FOREIGN = re.compile(
    r"_kombu\.binding.*|.*\.sentiq\.pidbox|sentiq\.[a-z0-9._-]+|sentiq:unacked.*|sentiq:rates.*"
)


def schema() -> dict[str, bytes]:
    """Return a pattern for each documented key, with its type."""
    found = {}
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        kinds = cells[1].split(", ") if len(cells) > 3 else []
        names = re.findall(r"`([^`]+)`", cells[0])
        for name, kind in zip(names, kinds * len(names), strict=False):
            if kind in TYPES:
                pattern = re.escape(keys.PREFIX) + re.sub(r"\\\{\w+\\\}", "[^:]*", re.escape(name))
                found[pattern] = TYPES[kind]
    return found


def test_the_page_names_every_key_of_the_code() -> None:
    named = {
        name for name, value in vars(keys).items() if isinstance(value, str) and value.startswith(keys.PREFIX)
    }
    for name in named - {"PREFIX", "UNACKED"}:
        key = vars(keys)[name].removeprefix(keys.PREFIX)
        assert re.search(rf"`{re.escape(key)}(?:\{{|`)", PAGE), f"{name} = {key}"


def test_the_page_names_every_script() -> None:
    scripts = [path.stem for path in (ROOT / "tasks" / "store" / "lua").glob("*.lua")]
    reading = {"read_backlog", "read_results", "read_retryable", "results_by_completion"}
    assert [name for name in scripts if name not in reading and name not in PAGE] == []


def test_a_live_redis_holds_nothing_else(live: Stack) -> None:
    with httpx2.Client(base_url=live.url, timeout=60, trust_env=False) as http:
        options = {"deadline_s": 600, "result_ttl_s": 700, "webhook": {"url": "http://example.com/hook"}}
        body = {"items": [{"text": f"第{i}个很好"} for i in range(200)]}
        headers = {"idempotency-key": "schema", "prefer": "wait=30"}
        http.post("/v1/jobs", json=body | options, headers=headers).raise_for_status()
        job = http.post("/v1/jobs", json={"text": "删掉它"}, headers={"prefer": "wait=30"}).json()
        http.delete(job["links"]["self"])
        http.get("/readyz")
    client = redis.Redis.from_url(live.redis_url)
    patterns = schema()
    eventually(lambda: client.exists(keys.COUNTERS))
    for raw in client.scan_iter("*"):
        name = raw.decode()
        if FOREIGN.fullmatch(name):
            continue
        kinds = [kind for pattern, kind in patterns.items() if re.fullmatch(pattern, name)]
        found = client.type(raw)
        assert found == b"none" or kinds == [found], name


@pytest.mark.parametrize("name", ["job:{id}:tokens", "pending:{model}:{class}:{owner}", "workers"])
def test_the_patterns_are_read(name: str) -> None:
    assert any(re.fullmatch(pattern, keys.PREFIX + re.sub(r"\{\w+\}", "x", name)) for pattern in schema())
