"""One tree of errors. `code` is public and stable; HTTP numbers belong to `api`."""

from __future__ import annotations


class SentiqError(Exception):
    """Root of every error this project raises on purpose."""

    code = "internal_error"


class ConfigurationError(SentiqError):
    """The environment holds a variable that is unknown or cannot be read."""

    code = "bad_configuration"


class StoreUnavailableError(SentiqError):
    """Redis did not answer in time, or refused to write: nothing is known and nothing was promised."""

    code = "store_unavailable"


class JobNotFoundError(SentiqError):
    """This service never minted that id."""

    code = "job_not_found"


class JobExpiredError(SentiqError):
    """The job existed; its results were kept as long as promised and are gone."""

    code = "job_expired"


class JobDeletedError(SentiqError):
    """The job existed; its owner had it erased."""

    code = "job_deleted"


class JobLostError(SentiqError):
    """The job was accepted and its record should still be there, but is not."""

    code = "job_lost"


class JobNotFinishedError(SentiqError):
    """What is asked for makes sense only once the job is over."""

    code = "job_not_finished"


class UploadIncompleteError(SentiqError):
    """The connection ended before the body did: the job, if any, is what arrived."""

    code = "upload_incomplete"


class UploadClosedError(SentiqError):
    """The job was canceled, deleted or overdue before all of its texts had come in."""

    code = "job_closed"


class NothingToRetryError(SentiqError):
    """No item of the job failed for a reason that another try could change."""

    code = "nothing_to_retry"


class IdempotencyKeyInFlightError(SentiqError):
    """A request with the same idempotency key has not been answered yet."""

    code = "idempotency_key_in_flight"


class IdempotencyKeyReusedError(SentiqError):
    """The idempotency key was used before, with another body."""

    code = "idempotency_key_reused"


class RefusedError(SentiqError):
    """There is no room for more now; there should be in `retry_after_s` seconds."""

    def __init__(self, about: str, retry_after_s: float) -> None:
        super().__init__(about)
        self.retry_after_s = retry_after_s


class QuotaExceededError(RefusedError):
    """The owner has as many open items as one may have."""

    code = "quota_exceeded"


class ServiceFullError(RefusedError):
    """More than its class can do in its target wait is waiting already."""

    code = "service_full"


class StoreFullError(RefusedError):
    """Redis has little memory left, and results of accepted jobs need that."""

    code = "store_full"


class LeaseCanceledError(SentiqError):
    """All that is leased belongs to jobs that were canceled: nobody wants the verdicts."""

    code = "lease_canceled"


class LeaseLostError(SentiqError):
    """Another child may own the chunks by now: stop, nothing that follows would be written."""

    code = "lease_lost"
