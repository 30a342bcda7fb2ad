"""One tree of errors. `code` is public and stable; HTTP numbers belong to `api`."""

from __future__ import annotations


class SentiqError(Exception):
    """Root of every error this project raises on purpose."""

    code = "internal_error"


class ConfigurationError(SentiqError):
    """The environment holds a variable that is unknown or cannot be read."""

    code = "bad_configuration"


class LedgerUnavailableError(SentiqError):
    """Redis did not answer in time, or refused to write: nothing is known and nothing was promised."""

    code = "ledger_unavailable"


class JobNotFoundError(SentiqError):
    """This service never minted that id."""

    code = "job_not_found"


class JobExpiredError(SentiqError):
    """The job existed; its results were kept as long as promised and are gone."""

    code = "job_expired"


class JobLostError(SentiqError):
    """The job was accepted and its record should still be there, but is not."""

    code = "job_lost"


class LeaseLostError(SentiqError):
    """Another child may own the chunks by now: stop, nothing that follows would be written."""

    code = "lease_lost"
