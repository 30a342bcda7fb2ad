"""One tree of errors. `code` is public and stable; `api/http/problems.py` maps errors to HTTP statuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


class SentiqError(Exception):
    """Root of every error this project raises on purpose."""

    code = "internal_error"


class ConfigurationError(SentiqError):
    """The environment holds a variable that is unknown or cannot be read."""

    code = "bad_configuration"


class StoreUnavailableError(SentiqError):
    """Redis did not answer in time, or refused to write. Nothing is known, and nothing was promised."""

    code = "store_unavailable"


class WritesRefusedError(StoreUnavailableError):
    """Redis takes no writes for now: it lacks memory or disk, is a replica, or loads its data."""


class UnknownFormatError(StoreUnavailableError):
    """Another version wrote this record or chunk, in a format that this program does not read."""


class LabelsUnknownError(StoreUnavailableError):
    """Redis has no labels of the pack that gave some results; its worker records them again."""


class LabelsChangedError(ConfigurationError):
    """The pack has other labels than one of the same id and revision that gave results before."""


class ApiKeyNotFoundError(SentiqError):
    """No API key has that id."""

    code = "key_not_found"


class OwnKeyError(SentiqError):
    """An operator would change or revoke the API key that the request uses; its id is the argument."""

    code = "own_key"


class PauseTargetNotFoundError(SentiqError):
    """No model and no API key has the name that is to be paused."""

    code = "pause_target_not_found"


class JobNotFoundError(SentiqError):
    """This service never issued that id."""

    code = "job_not_found"


class JobExpiredError(SentiqError):
    """The job existed; the lifetime of its results has ended."""

    code = "job_expired"


class JobDeletedError(SentiqError):
    """The job existed; its owner deleted it."""

    code = "job_deleted"


class JobLostError(SentiqError):
    """The job was accepted, and its record is gone before its time."""

    code = "job_lost"


class JobNotFinishedError(SentiqError):
    """The request makes sense only for a finished job."""

    code = "job_not_finished"


class UploadIncompleteError(SentiqError):
    """The body ended early, in a line if one is named. The job, if any, holds the items that arrived."""

    code = "upload_incomplete"

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line
        self.job_id: str | None = None
        self.recorded = 0


class UploadOffsetError(SentiqError):
    """The body does not begin with the next item of the job, which has `recorded` items."""

    code = "upload_offset"

    def __init__(self, recorded: int, job_id: str | None = None) -> None:
        super().__init__(recorded)
        self.recorded = recorded
        self.job_id = job_id


class UploadClosedError(SentiqError):
    """The job was canceled, deleted or overdue before all of its texts had arrived."""

    code = "job_closed"


class JobDataTooLargeError(SentiqError):
    """The items of a job carry more bytes of `data` than the limit, which is the argument."""

    code = "job_data_too_large"


class NothingToRetryError(SentiqError):
    """No item of the job failed for a reason that a retry could change."""

    code = "nothing_to_retry"


class NotComparedError(SentiqError):
    """The job was submitted without a second model to compare with."""

    code = "not_compared"


class NoWebhookError(SentiqError):
    """Nothing is known of a webhook of the job, which is the argument."""

    code = "no_webhook"


class SenderUnavailableError(SentiqError):
    """No sender of webhooks works, or all are busy; the argument is how many seconds one was waited for."""

    code = "sender_unavailable"


class IdempotencyKeyInFlightError(SentiqError):
    """A request with the same idempotency key has not been answered yet."""

    code = "idempotency_key_in_flight"


class IdempotencyKeyReusedError(SentiqError):
    """The idempotency key was used before, with another body."""

    code = "idempotency_key_reused"


class UnknownModelError(SentiqError):
    """No model of that name takes jobs; `known` are those that do, None if they were not read."""

    code = "unknown_model"

    def __init__(self, name: str, known: Sequence[str] | None = None) -> None:
        others = "" if known is None else f"; known: {', '.join(known) or 'none'}"
        super().__init__(f"no model {name!r} takes jobs{others}.")


class ModelRequiredError(SentiqError):
    """There are several models, and none of them is the default."""

    code = "model_required"

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__(f"several models take jobs, name one of them: {', '.join(known)}.")


class NotAllowedError(SentiqError):
    """The key may not submit jobs of this kind; `limit` names those that it may."""

    def __init__(self, about: str, limit: Limit) -> None:
        super().__init__(about)
        self.limit = limit


class ModelNotAllowedError(NotAllowedError):
    """The key may not name this model."""

    code = "model_not_allowed"


class ClassNotAllowedError(NotAllowedError):
    """The key may not submit jobs of this class."""

    code = "class_not_allowed"


class NoModelError(SentiqError):
    """No worker has ever started, so there is no model yet."""

    code = "no_model"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that a request met: its name, its value, and whether the key has it or the service."""

    name: str
    value: float | Sequence[str]
    of: Literal["key", "service"]


class RefusedError(SentiqError):
    """There is no room for more now; in `retry_after_s` seconds there should be. `limit` is in the way."""

    def __init__(self, about: str, retry_after_s: float, limit: Limit | None = None) -> None:
        super().__init__(about)
        self.retry_after_s = retry_after_s
        self.limit = limit


class QuotaExceededError(RefusedError):
    """The owner has as many open items as the quota allows."""

    code = "quota_exceeded"


class TooManyJobsError(RefusedError):
    """The owner has as many unfinished jobs as its key may have."""

    code = "too_many_jobs"


class StorageQuotaExceededError(RefusedError):
    """The owner keeps as many bytes of texts and results as it may."""

    code = "storage_quota_exceeded"


class ServiceFullError(RefusedError):
    """What the owner has waiting already takes the target wait of its class."""

    code = "service_full"


class DeadlineTooShortError(RefusedError):
    """The job could not be finished within the deadline that its caller chose, but within `feasible_s`."""

    code = "deadline_too_short"

    def __init__(self, deadline_s: float, feasible_s: int) -> None:
        super().__init__(f"{feasible_s} s, not in {deadline_s:g} s", feasible_s - deadline_s)
        self.feasible_s = feasible_s


class StoreFullError(RefusedError):
    """Redis has little memory left, and results of accepted jobs need it."""

    code = "store_full"


class LeaseCanceledError(SentiqError):
    """All leased chunks belong to canceled jobs: nobody wants the verdicts."""

    code = "lease_canceled"


class LeaseLostError(SentiqError):
    """The lease has ended, and another child may hold the chunks: outcomes would not be written."""

    code = "lease_lost"
