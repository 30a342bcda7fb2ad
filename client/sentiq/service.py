"""What clients of both kinds ask of a service."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sentiq import calls
from sentiq.bodies import Chunks
from sentiq.effects import Call, Emit, Flow, Steps
from sentiq.errors import SentiqError
from sentiq.models import Item, ModelInfo, Terms, Verdict
from sentiq.reading import field, json_of
from sentiq.retries import answered, sent
from sentiq.scoring import scored_many, scored_one
from sentiq.state import Habits
from sentiq.uploads import key_of, one_body, recorded_items, submitted, submitted_many, uploaded_bytes

_PAGE_JOBS = 100
_READY_S = 3.0


def habits_of(timeout: float, retry_for: float) -> Habits:
    """Return how long to repeat and to wait; a request that waits ends before its timeout."""
    return Habits(retry_for, min(float(calls.MAX_WAIT_S), timeout / 2))


class Service:
    """The requests that are about no single job, as steps."""

    def __init__(self, habits: Habits) -> None:
        """Take for how long to repeat and to wait."""
        self.habits = habits

    def one(self, text: str | Item, terms: Terms) -> Steps[Verdict]:
        """Score one text."""
        return scored_one(text, terms, self.habits.retry_for, self.habits.longest_s)

    def many(self, terms: Terms, in_flight: deque[str]) -> Flow[Verdict]:
        """Score the texts that are pulled."""
        return scored_many(terms, self.habits.retry_for, self.habits.longest_s, in_flight)

    def submitted(self, text: str | Item, key: str | None, terms: Terms) -> Steps[dict[str, Any]]:
        """Submit one text."""
        return submitted(one_body(text, terms), key_of(key), self.habits.retry_for)

    def submitted_many(
        self, source: Iterable[Any] | AsyncIterable[Any], key: str | None, terms: Terms
    ) -> Steps[dict[str, Any]]:
        """Submit the texts of an iterator."""
        return submitted_many(source, key_of(key), terms, self.habits.retry_for)

    def uploaded(
        self, chunks: Chunks, content_type: str, key: str | None, query: calls.Query
    ) -> Steps[dict[str, Any]]:
        """Upload bytes."""
        return uploaded_bytes(chunks, content_type, query, key_of(key), self.habits.retry_for)

    def recorded(self, content_type: str, key: str, query: calls.Query) -> Steps[int]:
        """Return how many items of an upload are recorded."""
        return recorded_items(content_type, query, key_of(key), self.habits.retry_for)

    def read(self, path: str) -> Steps[dict[str, Any]]:
        """Return the body of a GET."""
        return json_of((yield from answered(calls.get(path), self.habits.retry_for)))

    def job(self, job_id: str) -> Steps[dict[str, Any]]:
        """Return a job."""
        return self.read(calls.job_path(job_id))

    def jobs(
        self,
        status: str | None,
        created_after: datetime | None,
        created_before: datetime | None,
        metadata: Mapping[str, str] | None,
    ) -> Flow[dict[str, Any]]:
        """Yield jobs, page by page."""
        filters: dict[str, Any] = {
            "status": status,
            "created_after": created_after,
            "created_before": created_before,
            "metadata": metadata or {},
            "limit": _PAGE_JOBS,
        }
        while True:
            call = calls.get("/v1/jobs", calls.terms_query(filters))
            page = json_of((yield from answered(call, self.habits.retry_for)))
            for job in field(page, "data"):
                yield Emit(job)
            if not page.get("next_cursor"):
                return
            filters["cursor"] = page["next_cursor"]

    def usage(self, since: str | None, until: str | None, by: str | None) -> Steps[dict[str, Any]]:
        """Return what the key used."""
        query = calls.terms_query({"from": since, "to": until, "by": by})
        return json_of((yield from answered(calls.get("/v1/usage", query), self.habits.retry_for)))

    def models(self) -> Steps[list[ModelInfo]]:
        """Return the models, the default one first, those that are retiring last."""
        models: list[ModelInfo] = field((yield from self.read("/v1/models")), "data")
        return sorted(models, key=lambda each: (each["retiring"], not each["default"]))

    def ready(self) -> Steps[bool]:
        """Return whether the service takes jobs, without another attempt."""
        try:
            yield from sent(Call("GET", "/readyz", timeout=_READY_S))
        except SentiqError:
            return False
        return True


def upload_query(
    terms: Terms, *, text_column: str | None, strict: bool, from_index: int | None = None
) -> calls.Query:
    """Return the query of an upload of bytes."""
    return calls.terms_query(terms, text_column=text_column, strict=strict or None, from_index=from_index)
