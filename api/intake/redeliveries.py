"""Operators' calls about webhooks that do something: deliveries made again, and tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from api.intake.validation import accept_host
from api.schemas.operator_deliveries import RedeliveryIn, WebhookTestIn
from tasks.store import audit
from tasks.store.all_deliveries import DeliveryFilter, OwnedDelivery, delivery_of, page, redeliver
from tasks.store.audit import Author
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.webhook_tests import WebhookTest, send_test, webhook_of
from tasks.vocabulary.webhooks import DeliveryStatus

_CHANGED = "delivery_changed"


@dataclass(frozen=True, slots=True)
class Redeliveries:
    """Finds deliveries and makes them again; with `dry_run` it only finds them. Each is in the audit log."""

    store: JobStore
    author: Author
    dry_run: bool = True

    def run(
        self, asked: RedeliveryIn, passing: DeliveryFilter, charge: Callable[[], None]
    ) -> tuple[list[tuple[OwnedDelivery, bool]], str | None]:
        """Return what is found, each with whether it is made again, and the cursor of the rest.

        Raises NoWebhookError for a job without a delivery.
        """
        cursor: str | None = None
        if asked.job is not None:
            found = [delivery_of(self.store, asked.job)]
            found = [each for each in found if passing.matches(each)]
        else:
            passing = replace(passing, status=passing.status or DeliveryStatus.EXHAUSTED)
            found, cursor = page(self.store, passing, asked.cursor, asked.limit, charge=charge)
        return [(each, self._redeliver(each)) for each in found], cursor

    def _redeliver(self, found: OwnedDelivery) -> bool:
        if self.dry_run:
            return False
        done = redeliver(self.store, found)
        with store_errors():
            audit.append(
                self.store.redis,
                "redeliver_webhook",
                found.owner,
                job_id=found.job_id,
                outcome=audit.DONE if done else _CHANGED,
                author=self.author,
            )
        return done


def run_test(store: JobStore, asked: WebhookTestIn, author: Author) -> tuple[str, str, WebhookTest]:
    """Send a test; return whose secret signed it, the host and what came of it.

    Raises InvalidRequestError where webhooks may not go to that host, NoWebhookError, SenderUnavailableError.
    """
    if asked.url is not None:
        host = accept_host(asked.url, store.settings, "/url")
        owner, url = asked.owner or "", str(asked.url)
    else:
        owner, webhook = webhook_of(store, str(asked.job))
        owner, url, host = (owner if asked.owner is None else asked.owner), webhook.url, webhook.host
    test = send_test(store, owner, url, host)
    with store_errors():
        audit.append(
            store.redis,
            "send_webhook_test",
            owner,
            f"to {host}",
            job_id=asked.job or "",
            author=author,
        )
    return owner, host, test
