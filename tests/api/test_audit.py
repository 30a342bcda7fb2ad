"""Every change of a key is in the audit log, in the order in which it happened, without a secret."""

from __future__ import annotations

import getpass
import re
import socket

import pytest
import redis

from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from tasks.errors import ApiKeyNotFoundError
from tasks.store.audit import append
from tasks.store.jobs import JobStore
from tests.api.test_access import everything_in, keys


def test_each_change_of_a_key_is_recorded_with_its_author(store: JobStore, redis_url: str) -> None:
    api_keys, began = ApiKeys(store), store.now_ms()
    key, first = api_keys.create("shop\x1b[2J", [Scope.READ, Scope.SUBMIT])
    _, second = api_keys.rotate(key.id)
    api_keys.retire(key.id)
    api_keys.revoke(key.id)
    entries = list(api_keys.audit())
    assert [entry.action for entry in entries] == ["create", "rotate", "revoke_old", "revoke"]
    assert {entry.key_id for entry in entries} == {key.id}
    assert {entry.by for entry in entries} == {f"{getpass.getuser()}@{socket.gethostname()}"}
    assert began <= entries[0].at_ms <= entries[-1].at_ms <= store.now_ms()
    assert entries[0].detail == "shop\x1b[2J: read submit"
    printed = keys(redis_url, "audit").stdout
    assert re.search(
        rf"^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  create +{key.id}  \S+@\S+ +shop\\x1b", printed, re.MULTILINE
    )
    for token in (first, second):
        secret = token.split("_", 2)[2]
        assert secret not in printed + everything_in(redis_url)


def test_what_fails_is_not_recorded(store: JobStore) -> None:
    api_keys = ApiKeys(store)
    for change in (api_keys.rotate, api_keys.retire, api_keys.revoke):
        with pytest.raises(ApiKeyNotFoundError):
            change("00000000")
    assert list(api_keys.audit()) == []


def test_the_log_is_read_page_by_page(store: JobStore, redis_url: str) -> None:
    pipe = redis.Redis.from_url(redis_url).pipeline()
    for number in range(2500):
        append(pipe, "create", f"{number:08}")
    pipe.execute()
    assert [entry.key_id for entry in ApiKeys(store).audit()] == [f"{number:08}" for number in range(2500)]
