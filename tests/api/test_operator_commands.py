"""Every call of operators has a command, which the documents name, and which shows what the call answers."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
import pytest

from api.admin.__main__ import parser as admin_parser
from api.admin.commands import COMMANDS as ADMIN_COMMANDS
from api.app import create_app
from api.auth.api_keys import ApiKeys
from api.auth.key_options import parser as keys_parser
from api.auth.scopes import Scope
from api.openapi.document import operation_id
from local.processes import ROOT
from local.redis_server import redis_server
from tasks.settings import Settings
from tasks.store import models
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import Item, ItemError
from tasks.vocabulary.jobs import QueueClass, Terms
from tasks.vocabulary.webhooks import Webhook
from tests.api.test_access import bearer, running_api
from tests.conftest import MODEL_NAME
from tests.webhooks.jobs import finish

CANARY = "金丝雀不该出现"
OPERATORS = (ROOT / "docs" / "operators.md").read_text("utf-8")
PARSERS = {"api.admin": admin_parser(), "api.auth": keys_parser("")}
# By operationId: the module, the command with what it requires, and whether it shows the body of the call.
COMMANDS: dict[str, tuple[str, Sequence[str], bool]] = {
    "list_keys": ("api.auth", ["list", "--json"], False),
    "get_key": ("api.auth", ["list", "--json"], False),
    "create_key": ("api.auth", ["create", "shop"], False),
    "change_key": ("api.auth", ["change", "0123abcd", "--name", "shop"], False),
    "rotate_key": ("api.auth", ["rotate", "0123abcd"], False),
    "revoke_key": ("api.auth", ["revoke", "0123abcd"], False),
    "list_audit_entries": ("api.auth", ["audit", "--json"], False),
    "get_all_usage": ("api.admin", ["usage"], True),
    "list_all_jobs": ("api.admin", ["jobs"], True),
    "list_failures": ("api.admin", ["failures"], True),
    "replay_failures": ("api.admin", ["replays"], False),
    "list_all_deliveries": ("api.admin", ["deliveries"], True),
    "redeliver_webhooks": ("api.admin", ["redeliveries"], False),
    "test_webhook": ("api.admin", ["test-webhook"], False),
    "list_workers": ("api.admin", ["workers"], True),
    "list_owners": ("api.admin", ["owners"], True),
    "list_pauses": ("api.admin", ["pauses"], True),
    "pause_work": ("api.admin", ["pause", "--target", "class:bulk"], False),
    "resume_work": ("api.admin", ["resume", "--target", "class:bulk"], False),
}


def calls() -> dict[str, str]:
    """Return the path of every call of operators."""
    rules = create_app(Settings()).url_map.iter_rules()
    return {operation_id(rule): rule.rule for rule in rules if rule.rule.startswith("/v1/admin/")}


CALLS = calls()


def test_every_call_of_operators_has_a_command() -> None:
    assert set(CALLS) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_command_is_there_and_documented(name: str) -> None:
    module, words, _ = COMMANDS[name]
    assert isinstance(PARSERS[module].parse_args(list(words)), argparse.Namespace)
    assert f"python -m {module} {words[0]}" in OPERATORS


def test_no_command_is_missing_in_this_table() -> None:
    named = {words[0] for module, words, _ in COMMANDS.values() if module == "api.admin"}
    assert set(ADMIN_COMMANDS) == named


def plant_secrets(store: JobStore) -> None:
    """Make a job with a secret in each of its parts, of which an item failed."""
    item = Item.accept(f"{CANARY}文", 99, CANARY, data=f'{{"{CANARY}":"{CANARY}"}}'.encode())
    job_id = store.ids.issue("")
    terms = Terms(
        queue_class=QueueClass.BULK,
        metadata={"name": CANARY},
        webhook=Webhook(f"https://example.com/{CANARY}?token={CANARY}", "example.com"),
        summarize_by=CANARY,
        keep_texts=True,
    )
    store.create(job_id, terms, [Chunk(job_id, 0, [item])])
    finish(store, [ItemError.WORKER_LOST])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx2.Client, str]]:
    with redis_server() as redis_url:
        store = JobStore.connect(Settings(redis_url=redis_url, default_model=MODEL_NAME))
        models.register(store, MODEL_NAME, {"input": "text"})
        plant_secrets(store)
        _, token = ApiKeys(store).create("operator", [Scope.OPERATOR])
        log = tmp_path_factory.mktemp("commands") / "api.log"
        with (
            running_api(redis_url, log) as url,
            httpx2.Client(base_url=url, headers=bearer(token), timeout=30) as http,
        ):
            yield http, redis_url


@pytest.mark.parametrize("name", [name for name, (*_, shows) in COMMANDS.items() if shows])
def test_a_command_that_lists_shows_the_body_of_its_call(
    running: tuple[httpx2.Client, str], name: str
) -> None:
    http, redis_url = running
    module, words, _ = COMMANDS[name]
    command = [sys.executable, "-m", module, *words, "--json"]
    env = os.environ | {"REDIS_URL": redis_url}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    shown: dict[str, Any] = json.loads(done.stdout)
    assert shown == http.get(CALLS[name]).raise_for_status().json()


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
@pytest.mark.parametrize("name", [name for name, (module, *_) in COMMANDS.items() if module == "api.admin"])
def test_no_command_shows_what_is_in_a_job(
    running: tuple[httpx2.Client, str], name: str, form: list[str]
) -> None:
    redis_url, (_, words, shows) = running[1], COMMANDS[name]
    done = subprocess.run(
        [sys.executable, "-m", "api.admin", *words, *form],
        env=os.environ | {"REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=shows,
    )
    for shown in (CANARY, json.dumps(CANARY)[1:-1]):
        assert shown not in done.stdout + done.stderr
    if name in ("list_all_jobs", "list_failures", "replay_failures", "list_all_deliveries"):
        assert "job_" in done.stdout
    if name == "list_all_deliveries":
        assert "example.com" in done.stdout
