"""Webhooks as operators see them: whose, to which host, how they went; never the whole URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from api.schemas import operator_deliveries as bodies
from api.schemas.queries import AllDeliveriesQuery
from api.schemas.times import rfc3339
from tasks.store.all_deliveries import DeliveryFilter, OwnedDelivery
from tasks.store.webhook_tests import WebhookTest
from tasks.vocabulary.webhooks import DeliveryStatus


def delivery_filter(asked: AllDeliveriesQuery | bodies.RedeliveryIn) -> DeliveryFilter:
    """Return which deliveries are asked for."""
    return DeliveryFilter(asked.owner, asked.status, _ms(asked.finished_after), _ms(asked.finished_before))


def deliveries_view(
    found: Sequence[OwnedDelivery], cursor: str | None, names: Mapping[str, str]
) -> bodies.OwnedDeliveries:
    """Return the body of a page of deliveries; `names` are those of keys."""
    data = [_view(each, names.get(each.owner)) for each in found]
    return {"object": "list", "data": data, "next_cursor": cursor}


def _view(found: OwnedDelivery, name: str | None) -> bodies.OwnedDelivery:
    last = found.last
    return {
        "id": found.message_id,
        "object": "delivery",
        "job": found.job_id,
        "owner": found.owner,
        "name": name,
        "host": found.host,
        "event": found.event,
        "status": found.status,
        "attempts": found.attempts,
        "attempted_at": rfc3339(last.at_ms) if last else None,
        "status_code": last.status_code if last else None,
        "error": last.error if last else None,
        "next_attempt_at": rfc3339(found.next_ms),
        "finished_at": rfc3339(found.ended_ms),
    }


def redeliveries_view(
    done: Sequence[tuple[OwnedDelivery, bool]], cursor: str | None, *, dry_run: bool
) -> bodies.Redeliveries:
    """Return the body of redeliveries, each with whether it is made again."""
    data: list[bodies.Redelivery] = [
        {
            "job": each.job_id,
            "owner": each.owner,
            "host": each.host,
            "status": each.status,
            "redelivered": redelivered,
        }
        for each, redelivered in done
    ]
    return {
        "object": "list",
        "dry_run": dry_run,
        "deliveries": len(data),
        "data": data,
        "next_cursor": cursor,
    }


def webhook_test_view(owner: str, host: str, test: WebhookTest) -> bodies.WebhookTest:
    """Return the body of a test."""
    attempt = test.attempt
    unfinished = attempt.duration_ms is None
    return {
        "id": test.message_id,
        "object": "webhook_test",
        "owner": owner,
        "host": host,
        "delivered": test.status is DeliveryStatus.DELIVERED,
        "status_code": attempt.status_code,
        "error": "interrupted" if unfinished else attempt.error,
        "duration_ms": attempt.duration_ms,
    }


def _ms(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)
