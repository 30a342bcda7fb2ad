from __future__ import annotations

import pytest

from tasks.store import cancel as cancellation
from tasks.store import deliveries
from tasks.store.deliveries import AttemptOutcome
from tasks.store.jobs import JobStore
from tasks.store.keys import DELIVERY_TURNS, deliveries_key, job_key
from tasks.store.retry import retry_terms
from tasks.vocabulary.webhooks import DeliveryStatus, Event, Webhook
from tests.webhooks.jobs import BAD, GOOD, create, finish, finished, lease

URL = "https://example.com/hook"


def due_now(store: JobStore) -> None:
    """Make every delivery due, and end every lease."""
    for job_id in store.redis.zrange(deliveries_key(""), 0, -1):
        store.redis.zadd(deliveries_key(""), {job_id: 1})
        store.redis.zadd(DELIVERY_TURNS, {"": 1})


@pytest.mark.parametrize(
    ("outcomes", "event"),
    [
        ((GOOD, GOOD), Event.SUCCEEDED),
        ((GOOD, BAD), Event.PARTIAL),
        ((BAD, BAD), Event.FAILED),
    ],
)
def test_the_step_that_finishes_a_job_records_its_delivery(
    store: JobStore, outcomes: tuple[object, ...], event: Event
) -> None:
    job_id = create(store, URL, items=2)
    assert lease(store) == []
    finish(store, outcomes)  # type: ignore[arg-type]
    (delivery,) = lease(store)
    assert (delivery.job_id, delivery.event, delivery.attempt) == (job_id, event, 1)
    assert (delivery.url, delivery.host) == (URL, "example.com")
    assert delivery.counts == store.job(job_id).counts
    assert delivery.ended_ms == store.job(job_id).finished_ms


def test_an_event_that_the_job_does_not_select_has_no_delivery(store: JobStore) -> None:
    job_id = finished(store, URL, events=[Event.FAILED, Event.TIMED_OUT])
    assert lease(store) == []
    assert deliveries.read_log(store, job_id) is None


def test_a_leased_delivery_is_given_to_no_other_sender_until_the_lease_ends(store: JobStore) -> None:
    job_id = finished(store, URL)
    (first,) = lease(store)
    assert lease(store) == []
    due_now(store)
    (second,) = lease(store)
    assert (second.attempt, second.message_id) == (2, first.message_id)
    log = deliveries.read_log(store, job_id)
    assert log is not None
    assert [attempt.error for attempt in log.attempts] == ["interrupted", None]


def test_a_late_outcome_is_logged_and_changes_nothing(store: JobStore) -> None:
    job_id = finished(store, URL)
    (first,) = lease(store)
    due_now(store)
    (second,) = lease(store)
    deliveries.record_attempt(store, second, AttemptOutcome(200), DeliveryStatus.DELIVERED)
    deliveries.record_attempt(store, first, AttemptOutcome(error="timed_out"), DeliveryStatus.PENDING, 5)
    log = deliveries.read_log(store, job_id)
    assert log is not None
    assert (log.status, log.next_ms) == (DeliveryStatus.DELIVERED, None)
    assert [(each.status_code, each.error) for each in log.attempts] == [(None, "timed_out"), (200, None)]


def test_attempts_are_bounded_even_if_each_kills_its_sender(store: JobStore) -> None:
    job_id = finished(store, URL)
    max_attempts = 1 + len(store.settings.webhook_retries_s)
    for number in range(1, max_attempts + 1):
        (delivery,) = lease(store)
        assert delivery.attempt == number
        due_now(store)
    assert lease(store) == []
    log = deliveries.read_log(store, job_id)
    assert log is not None
    assert (log.status, len(log.attempts), log.next_ms) == (DeliveryStatus.EXHAUSTED, max_attempts, None)
    assert not store.redis.exists(deliveries_key(""), DELIVERY_TURNS)


def test_a_busy_host_does_not_delay_others(store: JobStore) -> None:
    finished(store, "https://slow.example.com/")
    quick = finished(store, URL)
    (delivery,) = lease(store, limit=1, held={"": {"slow.example.com": 16}})
    assert delivery.job_id == quick


def test_the_log_is_deleted_with_the_job_even_if_the_job_went_first(store: JobStore) -> None:
    job_id = finished(store, URL)
    (delivery,) = lease(store)
    assert 0 < store.redis.pttl(job_key(job_id, "delivery")) <= 604_800_000
    deliveries.record_attempt(store, delivery, AttemptOutcome(503), DeliveryStatus.PENDING, 5)
    store.redis.delete(job_key(job_id))
    due_now(store)
    (again,) = lease(store)
    deliveries.record_attempt(store, again, AttemptOutcome(200), DeliveryStatus.DELIVERED)
    assert not store.redis.keys(job_key(job_id, "*delivery*"))


def test_the_log_of_a_completed_delivery_lives_as_long_as_the_job(store: JobStore) -> None:
    job_id = finished(store, URL)
    (delivery,) = lease(store)
    deliveries.record_attempt(store, delivery, AttemptOutcome(410), DeliveryStatus.GONE)
    left_ms = store.redis.pttl(job_key(job_id))
    assert store.redis.pttl(job_key(job_id, "delivery")) == pytest.approx(left_ms, abs=1000)


def test_a_canceled_job_has_a_delivery(store: JobStore) -> None:
    job_id = create(store, URL, items=2)
    cancellation.cancel_job(store, job_id)
    (delivery,) = lease(store)
    assert (delivery.job_id, delivery.event, delivery.counts.canceled) == (job_id, Event.CANCELED, 2)


def test_an_attempt_that_a_delete_overtakes_leaves_nothing(store: JobStore) -> None:
    job_id = finished(store, URL)
    (delivery,) = lease(store)
    cancellation.delete_job(store, job_id, "")
    deliveries.record_attempt(store, delivery, AttemptOutcome(200), DeliveryStatus.DELIVERED)
    assert not store.redis.exists(job_key(job_id, "delivery"))


def test_a_retry_keeps_the_webhook_of_its_job(store: JobStore) -> None:
    job_id = create(store, URL, events=[Event.FAILED])
    terms = retry_terms(store.job(job_id))
    assert terms.webhook == Webhook(URL, "example.com", [Event.FAILED])
