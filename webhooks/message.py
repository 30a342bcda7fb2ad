"""The body and the signed headers of a delivery.

They follow https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md:
HMAC-SHA256 over `id.timestamp.body`, one signature for each secret.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json
from standardwebhooks import Webhook as Signer

from tasks.store.deliveries import Delivery
from tasks.vocabulary.webhooks import TEST_EVENT


def body(delivery: Delivery) -> bytes:
    """Return counts and links as JSON, never texts: a receiver reads those from the API, with its key."""
    ended = datetime.fromtimestamp(delivery.ended_ms / 1000, UTC).isoformat(timespec="milliseconds")
    data = {"id": delivery.job_id, "object": "test"} if delivery.event == TEST_EVENT else _job(delivery)
    return to_json({"type": delivery.event, "timestamp": ended.replace("+00:00", "Z"), "data": data})


def _job(delivery: Delivery) -> dict[str, Any]:
    counts, self = delivery.counts, f"/v1/jobs/{delivery.job_id}"
    return {
        "id": delivery.job_id,
        "object": "job",
        "status": delivery.status,
        "counts": {
            "total": counts.total,
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            "timed_out": counts.timed_out,
            "canceled": counts.canceled,
        },
        "links": {"self": self, "results": f"{self}/results"},
    }


def headers(delivery: Delivery, content: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Return the headers, signed with the current time: receivers refuse a signature that is minutes old."""
    now = datetime.fromtimestamp(int(time.time()), UTC)
    signatures = [Signer(secret).sign(delivery.message_id, now, content.decode()) for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": "sentiq-webhooks",
        "webhook-id": delivery.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
