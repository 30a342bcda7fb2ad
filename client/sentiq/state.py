"""What a job says of itself, and the requests about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sentiq import calls
from sentiq.downloads import Download, events, items, rows
from sentiq.effects import Call, Flow, Steps, mapped
from sentiq.errors import GoneError
from sentiq.models import Body, Counts, JobEvent, Verdict
from sentiq.reading import counts_of, field, json_of, verdict_of
from sentiq.retries import answered
from sentiq.uploads import key_of
from sentiq.waiting import is_finished, waited

Progress = bool | Callable[[Counts], Any]


@dataclass(frozen=True)
class Habits:
    """For how long a client repeats a request, and how long one request waits for the end of a job."""

    retry_for: float
    longest_s: float


class JobState:
    """A job as it was when it was read last; `raw` is the whole body."""

    def __init__(self, raw: Body, habits: Habits) -> None:
        """Take a job as the service sent it."""
        self.raw = raw
        self._habits = habits

    def __repr__(self) -> str:
        """Return the id, the status and the counts."""
        counts = self.counts
        return f"<{type(self).__name__} {self.id} {self.status} {counts.finished}/{counts.total}>"

    @property
    def id(self) -> str:
        """The id."""
        return str(field(self.raw, "id"))

    @property
    def status(self) -> str:
        """`queued`, `running`, `canceling`, or how it ended: `succeeded`, `partial`, `failed`, …."""
        return str(field(self.raw, "status"))

    @property
    def counts(self) -> Counts:
        """The items by state."""
        return counts_of(self.raw)

    @property
    def finished(self) -> bool:
        """Whether the job has ended."""
        return is_finished(self.raw)

    @property
    def model_name(self) -> str | None:
        """The name of the model that scores it."""
        return self.raw.get("model_name")

    @property
    def metadata(self) -> Mapping[str, str]:
        """The metadata that it was submitted with."""
        return self.raw.get("metadata") or {}

    @property
    def error(self) -> Mapping[str, Any] | None:
        """What went wrong with the job as a whole, such as an upload that ended early."""
        return self.raw.get("error")

    def _read(self) -> Steps[Body]:
        return self._answer(calls.get_job(self.id))

    def _waited(self, timeout: float | None, progress: Progress) -> Steps[Body]:
        return waited(self.id, self._habits.retry_for, self._habits.longest_s, timeout, progress=progress)

    def _items(self, download: Download) -> Flow[dict[str, Any]]:
        return items(download, self._habits.retry_for)

    def _verdicts(self, download: Download) -> Flow[Verdict]:
        return mapped(self._items(download), verdict_of)

    def _rows(self, download: Download, columns: str | None, *, bom: bool, safe: bool) -> Flow[bytes]:
        given = {"columns": columns, "bom": bom or None, "safe": safe or None}
        return rows(download, self._habits.retry_for, **given)

    def _events(self) -> Flow[JobEvent]:
        return events(self.id, self._habits.retry_for)

    def _part(self, part: str, **query: str | None) -> Steps[dict[str, Any]]:
        return self._answer(calls.get(calls.job_path(self.id, part), calls.terms_query(query)))

    def _canceled(self) -> Steps[dict[str, Any]]:
        return self._answer(Call("POST", calls.job_path(self.id, "/cancel")))

    def _retried(self, key: str | None) -> Steps[dict[str, Any]]:
        headers = {"idempotency-key": key_of(key)}
        return self._answer(Call("POST", calls.job_path(self.id, "/retry"), headers=headers))

    def _deleted(self) -> Steps[None]:
        try:
            yield from answered(Call("DELETE", calls.job_path(self.id)), self._habits.retry_for)
        except GoneError as error:
            if error.code != "job_deleted":  # by an earlier attempt, whose answer got lost
                raise

    def _answer(self, call: Call) -> Steps[dict[str, Any]]:
        return json_of((yield from answered(call, self._habits.retry_for)))
