"""What a key has beside its secrets: a description, an end, limits, a time of its last use."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from api.auth.api_keys import ApiKeys
from api.auth.key_bodies import KeyIn, KeyPatchIn
from api.auth.key_record import ApiKey
from api.auth.scopes import Scope
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tasks.vocabulary.jobs import QueueClass
from tasks.vocabulary.key_limits import KeyLimits
from tests.api.test_access import bearer, keys, running_api
from tests.conftest import eventually


def printed(redis_url: str, *arguments: str) -> Any:
    done = keys(redis_url, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_makes_changes_and_lists_keys_as_json(redis_url: str) -> None:
    options = ["--description", "nightly import", "--rate", "5", "--burst", "10.0", "--class", "bulk"]
    made = printed(redis_url, "create", "shop", "--expires", "90d", *options)
    assert made["secret"].startswith(f"sentiq_{made['id']}_")
    (listed,) = printed(redis_url, "list")
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    assert listed["scopes"] == ["submit", "read", "cancel"]
    assert listed["limits"]["rate"] == 5.0
    assert listed["limits"]["burst"] == 10
    assert listed["limits"]["classes"] == ["bulk"]
    ends = datetime.fromisoformat(listed["expires_at"])
    assert timedelta(days=89) < ends - datetime.now(UTC) < timedelta(days=91)
    changed = printed(redis_url, "change", made["id"], "--rate", "none", "--expires", "never", "--name", "店")
    assert (changed["limits"]["rate"], changed["limits"]["burst"]) == (None, 10), "the other limit stays"
    assert (changed["expires_at"], changed["name"], changed["description"]) == (None, "店", "nightly import")
    table = keys(redis_url, "list").stdout
    assert "burst=10 classes=bulk" in table
    assert [entry["action"] for entry in printed(redis_url, "audit")] == ["create", "change"]
    assert printed(redis_url, "audit")[1]["detail"] == "shop: name expires_ms limits"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--rate", "0"], "limits.rate"),
        (["--rate", "fast"], "rate: 'fast' is no number"),
        (["--burst", "1.5"], "limits.burst"),
        (["--model", "No Name"], "limits.models"),
        (["--expires", "soon"], "expires_at"),
        (["--description", "a\x1b[2Jb"], "description"),
    ],
)
def test_the_command_names_the_option_that_is_wrong(redis_url: str, options: list[str], told: str) -> None:
    done = keys(redis_url, "create", "shop", *options)
    assert done.returncode == 1
    assert told in done.stderr
    assert printed(redis_url, "list") == []


def test_a_record_of_an_earlier_version_is_read_and_one_of_a_later_version_too() -> None:
    old = b'{"name":"x","scopes":["read"],"hashes":["a"],"created_ms":1}'
    assert ApiKey.decode("1", old) == ApiKey("1", "x", frozenset({Scope.READ}), ("a",), 1)
    new = b'{"name":"x","scopes":["read","fly"],"hashes":["a"],"created_ms":1,"limits":{"rate":2,"wings":4}}'
    key = ApiKey.decode("1", new)
    assert key.scopes == {Scope.READ}
    assert key.limits == KeyLimits(rate=2)
    limits = KeyLimits(0.5, 3, 10, 2, ("a", "b"), (QueueClass.BULK,))
    times: dict[str, Any] = {"created_ms": 1, "weight": 2.5, "expires_ms": 5, "old_until_ms": 6}
    full = ApiKey("1", "x", frozenset(Scope), ("a", "b"), **times, disabled=True, limits=limits)
    assert ApiKey.decode("1", full.encode()) == full
    ended = ApiKey("1", "x", frozenset(), ("a",), 1, expires_ms=0)
    assert ApiKey.decode("1", ended.encode()).expired(now_ms=1)


def test_numbers_are_read_as_json_has_them() -> None:
    body = KeyIn.model_validate_json('{"name": "x", "limits": {"rate": 3, "burst": 4.0}}')
    assert (body.limits.rate, body.limits.burst) == (3.0, 4)
    key = ApiKey("1", "x", frozenset(), ("a",), 1, limits=KeyLimits(burst=9, max_pending_items=7))
    patch = KeyPatchIn.model_validate_json('{"limits": {"burst": null, "max_concurrent_jobs": 2.0}}')
    assert patch.applied(key).limits == KeyLimits(max_pending_items=7, max_concurrent_jobs=2)


def test_the_previous_secret_ends_with_its_overlap(store: JobStore) -> None:
    api_keys = ApiKeys(store)
    key, first = api_keys.create("x", [Scope.READ])
    _, second = api_keys.rotate(key.id, overlap_s=1)
    assert api_keys.find(first)
    assert api_keys.find(second)
    eventually(lambda: api_keys.find(first) is None, within_s=5)
    assert api_keys.find(second)
    _, third = api_keys.rotate(key.id, overlap_s=0)
    time.sleep(0.25)
    assert [api_keys.find(token) is not None for token in (first, second, third)] == [False, False, True]


def test_a_rotation_whose_answer_is_lost_is_done_once(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_keys, lost = ApiKeys(store), False
    key, first = api_keys.create("x", [Scope.READ])
    read: Any = redis.Connection.read_response

    def lose_the_first(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal lost
        answer = read(self, *args, **options)
        if isinstance(answer, list) and not lost:  # that of EXEC
            lost = True
            self.disconnect()
            raise redis.ConnectionError("the answer is lost")
        return answer

    monkeypatch.setattr(redis.Connection, "read_response", lose_the_first)
    _, second = api_keys.rotate(key.id)
    assert lost
    assert all(map(api_keys.find, (first, second)))
    assert [entry.action for entry in api_keys.audit()] == ["create", "rotate"]


def test_a_key_warns_of_its_end_ends_and_can_be_disabled_while_the_service_runs(
    settings: Settings, redis_url: str, tmp_path: Path
) -> None:
    store = JobStore.connect(settings)
    api_keys = ApiKeys(store)
    now_ms = store.now_ms()
    _, lasting = api_keys.create("lasting", [Scope.READ], expires_ms=now_ms + 8 * 86_400_000)
    ending, token = api_keys.create("ending", [Scope.READ], expires_ms=now_ms + 86_400_000)
    with running_api(redis_url, tmp_path / "api.log") as url, httpx2.Client(base_url=url) as http:
        assert "x-key-expires-at" not in http.get("/v1/queue", headers=bearer(lasting)).headers
        answer = http.get("/v1/queue", headers=bearer(token))
        ends = datetime.fromisoformat(answer.headers["x-key-expires-at"])
        assert abs(ends.timestamp() * 1000 - now_ms - 86_400_000) < 1000

        def answered(status: int, code: str | None) -> bool:
            answer = http.get("/v1/queue", headers=bearer(token))
            return (answer.status_code, answer.json().get("code")) == (status, code)

        assert keys(redis_url, "disable", ending.id).returncode == 0
        eventually(lambda: answered(401, "key_disabled"), within_s=5)
        assert keys(redis_url, "enable", ending.id).returncode == 0
        eventually(lambda: answered(200, None), within_s=5)
        printed(redis_url, "change", ending.id, "--expires", "2020-01-01T00:00:00Z")
        eventually(lambda: answered(401, "key_expired"), within_s=5)
        assert http.get("/v1/queue", headers=bearer(token + "x")).json()["code"] == "key_unknown"


def test_the_last_use_of_a_key_is_known_within_a_minute(
    settings: Settings, redis_url: str, tmp_path: Path
) -> None:
    store = JobStore.connect(settings)
    key, token = ApiKeys(store).create("x", [Scope.READ])
    assert printed(redis_url, "list")[0]["last_used_at"] is None
    with running_api(redis_url, tmp_path / "api.log") as url:
        began_ms = store.now_ms()
        assert httpx2.get(f"{url}/v1/queue", headers=bearer(token)).status_code == 200
        used = datetime.fromisoformat(printed(redis_url, "list")[0]["last_used_at"])
        assert began_ms - 1000 <= used.timestamp() * 1000 <= store.now_ms() + 1000
    ApiKeys(store).revoke(key.id)
    assert ApiKeys(store).used_ms() == {}
