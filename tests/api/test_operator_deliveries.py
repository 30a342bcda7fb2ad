"""Webhooks of all owners: listed without their URLs, made again once they are counted, tested by a sender."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from local.processes import ROOT
from local.redis_server import redis_server
from tasks.settings import Settings
from tasks.store import all_deliveries, deliveries, models
from tasks.store.all_deliveries import DeliveryFilter, page
from tasks.store.cancel import delete_job
from tasks.store.counters import Counters
from tasks.store.deliveries import AttemptOutcome
from tasks.store.jobs import JobStore
from tasks.store.keys import DELIVERY_LOG, DELIVERY_TURNS, deliveries_key, job_key
from tasks.vocabulary.webhooks import DeliveryStatus
from tests.api.test_access import bearer, running_api
from tests.conftest import MODEL_NAME, eventually
from tests.webhooks.jobs import create, finished, lease
from tests.webhooks.receiver import Receiver, receiving
from webhooks.secret import signing_secrets

URL = "https://hooks.example.com/secret-path?token=secret-token"


@dataclass
class Service:
    """An API whose worker is this test, an operator, and the owner of jobs with webhooks."""

    http: httpx2.Client
    store: JobStore
    anna: str
    redis_url: str
    senders: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        answer = self.http.get(f"/v1/admin/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(f"/v1/admin/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def delivery(self, job_id: str) -> dict[str, Any]:
        (found,) = (each for each in self.get("deliveries")["data"] if each["job"] == job_id)
        return dict(found)

    def status(self, job_id: str) -> str:
        return str(self.delivery(job_id)["status"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("deliveries") / "api.log"
    with redis_server() as redis_url:
        store = JobStore.connect(Settings(redis_url=redis_url, default_model=MODEL_NAME))
        models.register(store, MODEL_NAME, {"input": "text"})
        keys = ApiKeys(store)
        anna, _ = keys.create("anna", [Scope.READ])
        _, token = keys.create("operator", [Scope.OPERATOR])
        with (
            running_api(redis_url, log, SENTIMENT_WEBHOOK_ALLOW="127.0.0.1") as url,
            httpx2.Client(base_url=url, headers=bearer(token), timeout=60) as http,
        ):
            yield Service(http, store, anna.id, redis_url)


@pytest.fixture
def service(running: Service) -> Service:
    """The service without any delivery."""
    redis = running.store.redis
    for pattern in ("sentiq:job:*", "sentiq:deliver*", "sentiq:jobs:*"):
        for key in redis.scan_iter(pattern):
            redis.delete(key)
    return running


@pytest.fixture
def start_sender(running: Service) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    with ExitStack() as stack:

        def start() -> subprocess.Popen[bytes]:
            env = os.environ | {
                "REDIS_URL": running.redis_url,
                "SENTIMENT_WEBHOOK_ALLOW": "127.0.0.1",
                "SENTIMENT_WEBHOOK_RETRIES_S": "0.2",
            }
            command = [sys.executable, "-m", "webhooks"]
            sender = stack.enter_context(subprocess.Popen(command, cwd=ROOT, env=env))
            stack.callback(sender.kill)
            return sender

        yield start


def exhausted(store: JobStore, job_id: str, status: DeliveryStatus = DeliveryStatus.EXHAUSTED) -> None:
    """Have the one delivery that is due fail for good."""
    (delivery,) = lease(store)
    assert delivery.job_id == job_id
    deliveries.record_attempt(store, delivery, AttemptOutcome(503), status)


def due_now(store: JobStore, owner: str) -> None:
    """Make all deliveries of an owner due, and end every lease."""
    for job_id in store.redis.zrange(deliveries_key(owner), 0, -1):
        store.redis.zadd(deliveries_key(owner), {job_id: 1})
        store.redis.zadd(DELIVERY_TURNS, {owner: 1})


def test_deliveries_are_listed_by_owner_status_and_time_without_their_urls(service: Service) -> None:
    failed = finished(service.store, URL, owner=service.anna)
    exhausted(service.store, failed)
    waiting = finished(service.store, URL)
    listed = service.get("deliveries")["data"]
    assert [(each["job"], each["owner"], each["name"], each["status"]) for each in listed] == [
        (waiting, "", None, "pending"),
        (failed, service.anna, "anna", "exhausted"),
    ]
    assert [(each["attempts"], each["status_code"], each["host"]) for each in listed] == [
        (0, None, "hooks.example.com"),
        (1, 503, "hooks.example.com"),
    ]
    assert (listed[0]["next_attempt_at"] is None, listed[1]["next_attempt_at"]) == (False, None)
    assert listed[0]["id"] == "msg_" + waiting[4:]
    for query, found in (
        ({"owner": service.anna}, [failed]),
        ({"owner": ""}, [waiting]),
        ({"status": "pending"}, [waiting]),
        ({"status": "gone"}, []),
        ({"finished_after": listed[1]["finished_at"]}, [waiting]),
        ({"finished_before": listed[0]["finished_at"]}, [failed]),
    ):
        assert [each["job"] for each in service.get("deliveries", **query)["data"]] == found, query
    first = service.get("deliveries", limit="1")
    assert [each["job"] for each in first["data"]] == [waiting]
    rest = service.get("deliveries", limit="1", cursor=first["next_cursor"])
    assert [each["job"] for each in rest["data"]] == [failed]
    answers = json.dumps([listed, service.post("redeliveries"), service.get("audit")])
    assert "secret-" not in answers


def test_a_deleted_job_has_no_delivery(service: Service) -> None:
    job_id = finished(service.store, URL, owner=service.anna)
    delete_job(service.store, job_id, service.anna)
    assert service.get("deliveries")["data"] == []
    assert not service.store.redis.exists(DELIVERY_LOG)
    answer = service.http.post("/v1/admin/redeliveries", json={"job": job_id})
    assert (answer.status_code, answer.json()["code"]) == (404, "no_webhook")


def test_redeliveries_are_counted_first_and_are_those_that_were_given_up(service: Service) -> None:
    jobs = []
    for status in (DeliveryStatus.EXHAUSTED, DeliveryStatus.DELIVERED, DeliveryStatus.GONE):
        jobs.append(finished(service.store, URL, owner=service.anna))
        exhausted(service.store, jobs[-1], status)
    dry = service.post("redeliveries")
    assert (dry["dry_run"], dry["deliveries"]) == (True, 1)
    assert [(each["job"], each["status"], each["redelivered"]) for each in dry["data"]] == [
        (jobs[0], "exhausted", False)
    ]
    assert lease(service.store) == []
    assert service.post("redeliveries", status="gone", owner="0" * 8)["deliveries"] == 0
    done = service.post("redeliveries", dry_run=False)
    assert [(each["job"], each["redelivered"]) for each in done["data"]] == [(jobs[0], True)]
    assert service.status(jobs[0]) == "pending"
    assert service.post("redeliveries", dry_run=False)["deliveries"] == 0, "none is given up any more"
    assert service.post("redeliveries", job=jobs[1], dry_run=False)["data"][0]["redelivered"]
    assert [each.job_id for each in lease(service.store)] == jobs[:2]
    audited = service.get("audit", action="redeliver_webhook")["data"]
    assert [(each["job"], each["key"], each["outcome"]) for each in audited[:2]] == [
        (jobs[1], service.anna, "done"),
        (jobs[0], service.anna, "done"),
    ]


def test_a_redelivery_has_all_attempts_again_and_outlives_every_sender(
    service: Service, start_sender: Callable[[], subprocess.Popen[bytes]]
) -> None:
    with receiving(Receiver([503, 503, 0, 204])) as receiver:
        job_id = finished(service.store, receiver.url, owner=service.anna)
        sender = start_sender()
        eventually(lambda: service.status(job_id) == "exhausted")
        assert service.post("redeliveries", job=job_id, dry_run=False)["data"][0]["redelivered"]
        eventually(lambda: len(receiver.received) == 3)
        sender.send_signal(signal.SIGKILL)
        sender.wait()
        assert service.status(job_id) == "pending"
        due_now(service.store, service.anna)  # the lease of the killed sender ends
        start_sender()
        eventually(lambda: service.status(job_id) == "delivered")
        assert {each.headers["webhook-id"] for each in receiver.received} == {"msg_" + job_id[4:]}
    log = deliveries.read_log(service.store, job_id)
    assert log is not None
    assert [(each.status_code, each.error) for each in log.attempts] == [
        (503, None),
        (503, None),
        (None, "interrupted"),
        (204, None),
    ]


def test_an_outcome_of_before_does_not_end_a_redelivery(service: Service) -> None:
    job_id = finished(service.store, URL)
    (first,) = lease(service.store)
    (found,) = page(service.store, DeliveryFilter(), None, 9, charge=lambda: None)[0]
    assert found.next_ms is None
    assert all_deliveries.redeliver(service.store, found)
    assert deliveries.read_log(service.store, job_id).next_ms is not None  # type: ignore[union-attr]
    deliveries.record_attempt(service.store, first, AttemptOutcome(410), DeliveryStatus.GONE)
    assert service.status(job_id) == "pending"
    (second,) = lease(service.store)
    assert (second.attempt, second.earlier) == (2, 1)
    deliveries.record_attempt(service.store, second, AttemptOutcome(204), DeliveryStatus.DELIVERED)
    assert service.status(job_id) == "delivered"
    stale = all_deliveries.redeliver(service.store, found)
    assert not stale, "it is no longer pending"


def test_the_log_of_attempts_is_bounded(service: Service) -> None:
    job_id = finished(service.store, URL)
    for number in range(1, 131):
        (delivery,) = lease(service.store)
        assert delivery.attempt == number
        deliveries.record_attempt(service.store, delivery, AttemptOutcome(503), DeliveryStatus.EXHAUSTED)
        all_deliveries.redeliver(service.store, all_deliveries.delivery_of(service.store, job_id))
    log = deliveries.read_log(service.store, job_id)
    assert log is not None
    assert [each.number for each in log.attempts] == list(range(31, 131))


def test_what_has_expired_leaves_the_log(store: JobStore) -> None:
    jobs = [finished(store, URL) for _ in range(30)]
    for job_id in jobs[:20]:
        store.redis.delete(job_key(job_id, "delivery"))
    found, cursor = page(store, DeliveryFilter(), None, 99, charge=lambda: None)
    assert ([each.job_id for each in found], cursor) == (jobs[:19:-1], None)
    assert store.redis.zcard(DELIVERY_LOG) == 10
    for job_id in jobs[20:]:
        store.redis.delete(job_key(job_id, "delivery"))
    for _ in range(60):
        store.redis.delete(job_key(finished(store, URL), "delivery"))
    assert store.redis.zcard(DELIVERY_LOG) < 40


def test_a_long_log_is_read_in_slices(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.store.all_deliveries._SLICE", 4)
    jobs = [finished(store, URL) for _ in range(11)]
    store.redis.zadd(DELIVERY_LOG, dict.fromkeys(jobs[:3], 5))
    for job_id in jobs[:3]:
        store.redis.hset(job_key(job_id, "delivery"), "ended", 5)
    charged: list[int] = []
    found, cursor = page(store, DeliveryFilter(owner="nobody"), None, 2, charge=lambda: charged.append(1))
    assert (found, cursor, len(charged)) == ([], None, 2)
    read: list[str] = []
    while True:
        some, cursor = page(store, DeliveryFilter(), cursor, 2, charge=lambda: None)
        read += [each.job_id for each in some]
        if cursor is None:
            break
    assert read == jobs[::-1]


def test_a_test_is_signed_and_its_answer_is_told(
    service: Service, start_sender: Callable[[], subprocess.Popen[bytes]]
) -> None:
    start_sender()
    with receiving(Receiver([204, 500])) as receiver:
        done = service.post("webhook_tests", url=receiver.url, owner=service.anna)
        assert (done["delivered"], done["status_code"], done["error"]) == (True, 204, None)
        assert (done["host"], done["owner"]) == ("127.0.0.1", service.anna)
        assert done["duration_ms"] >= 0
        (received,) = receiver.received
        (secret,) = signing_secrets(service.store, service.anna)
        payload = Verifier(secret).verify(received.body, received.headers)
        assert (payload["type"], received.headers["webhook-id"]) == ("webhook.test", done["id"])
        assert payload["data"] == {"id": done["id"][4:], "object": "test"}
        job_id = create(service.store, receiver.url, owner=service.anna)
        done = service.post("webhook_tests", job=job_id)
        assert (done["delivered"], done["status_code"], done["owner"]) == (False, 500, service.anna)
        assert len(receiver.received) == 2, "a test is not repeated"
    counted = Counters.read(service.store).counts
    gone = service.post("webhook_tests", url=receiver.url)
    assert Counters.read(service.store).counts == counted, "a test is no attempt at a delivery"
    assert (gone["delivered"], gone["status_code"], gone["error"]) == (False, None, "not_connected")
    assert service.get("deliveries")["data"] == [], "a test is no delivery of a job"
    assert "token" not in json.dumps(service.get("audit"))
    audited = service.get("audit", action="send_webhook_test")["data"]
    assert [(each["job"], each["detail"]) for each in audited[:2]] == [
        ("", "to 127.0.0.1"),
        (job_id, "to 127.0.0.1"),
    ]


def test_a_test_follows_the_rules_of_addresses(service: Service) -> None:
    for url in (
        "http://10.1.2.3/x",
        "http://169.254.169.254/",
        "http://localhost/",
        "http://a:b@example.com/",
    ):
        answer = service.http.post("/v1/admin/webhook_tests", json={"url": url})
        assert answer.status_code == 422, url
        assert answer.json()["errors"][0]["pointer"] == "/url"
    for body in ({}, {"url": "http://example.com/", "job": "job_" + "0" * 34}):
        assert service.http.post("/v1/admin/webhook_tests", json=body).status_code == 422
    answer = service.http.post("/v1/admin/webhook_tests", json={"job": "job_" + "0" * 34})
    assert (answer.status_code, answer.json()["code"]) == (404, "no_webhook")


def test_without_a_sender_a_test_is_refused_and_never_sent(
    service: Service, start_sender: Callable[[], subprocess.Popen[bytes]]
) -> None:
    with receiving(Receiver()) as receiver:
        answer = service.http.post("/v1/admin/webhook_tests", json={"url": receiver.url})
        assert (answer.status_code, answer.json()["code"]) == (503, "sender_unavailable")
        start_sender()
        job_id = finished(service.store, receiver.url)
        eventually(lambda: service.status(job_id) == "delivered")
        assert [each.json["type"] for each in receiver.received] == ["job.succeeded"]


def command(service: Service, *arguments: str) -> Any:
    env = os.environ | {"REDIS_URL": service.redis_url, "SENTIMENT_WEBHOOK_ALLOW": "127.0.0.1"}
    run = [sys.executable, "-m", "api.admin", *arguments]
    done = subprocess.run(run, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def test_the_commands_do_the_same(
    service: Service, start_sender: Callable[[], subprocess.Popen[bytes]]
) -> None:
    job_id = finished(service.store, URL, owner=service.anna)
    exhausted(service.store, job_id)
    assert command(service, "deliveries", "--json") == service.get("deliveries")
    table = command(service, "deliveries").splitlines()
    assert table[0].split()[:4] == ["job", "owner", "name", "host"]
    assert table[1].split()[:4] == [job_id, service.anna, "anna", "hooks.example.com"]
    assert command(service, "redeliveries", "--json") == service.post("redeliveries")
    done = command(service, "redeliveries", "--job", job_id, "--submit", "--json")
    assert done["data"][0]["redelivered"]
    for action in ("redeliver_webhook", "redeliver_webhooks"):
        assert service.get("audit", action=action)["data"][0]["address"] == "command line"
    (delivery,) = lease(service.store)
    deliveries.record_attempt(service.store, delivery, AttemptOutcome(204), DeliveryStatus.DELIVERED)
    start_sender()
    with receiving(Receiver()) as receiver:
        tested = command(service, "test-webhook", "--url", receiver.url, "--json")
    assert (tested["delivered"], tested["host"]) == (True, "127.0.0.1")


def test_a_command_says_why_it_is_refused(service: Service) -> None:
    env = os.environ | {"REDIS_URL": service.redis_url}
    for options, said in (
        (["--url", "http://10.0.0.1/"], "api.admin: /url: 10.0.0.1 is not a public address"),
        (["--job", "job_" + "0" * 34], "api.admin: No webhook of a job job_000"),
        ([], "api.admin: give either url or job"),
        (["--url", "nonsense"], "api.admin: --url: "),
    ):
        run = [sys.executable, "-m", "api.admin", "test-webhook", *options]
        done = subprocess.run(run, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(said)
