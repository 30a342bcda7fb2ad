"""Scores the sentiment of Chinese text with a Sentiq service."""

from sentiq.async_client import AsyncSentiq
from sentiq.async_job import AsyncJob
from sentiq.client import Sentiq
from sentiq.errors import (
    AuthenticationError,
    BadRequestError,
    BusyError,
    ConfigurationError,
    ConflictError,
    GoneError,
    IncompatibleServiceError,
    NotFoundError,
    NoVerdictError,
    PermissionDeniedError,
    SentiqConnectionError,
    SentiqError,
    SentiqTimeoutError,
    ServiceError,
    UploadError,
)
from sentiq.frame import score_frame
from sentiq.job import Job
from sentiq.models import Counts, Item, ItemError, JobEvent, ModelInfo, Terms, Verdict

__all__ = [
    "AsyncJob",
    "AsyncSentiq",
    "AuthenticationError",
    "BadRequestError",
    "BusyError",
    "ConfigurationError",
    "ConflictError",
    "Counts",
    "GoneError",
    "IncompatibleServiceError",
    "Item",
    "ItemError",
    "Job",
    "JobEvent",
    "ModelInfo",
    "NoVerdictError",
    "NotFoundError",
    "PermissionDeniedError",
    "Sentiq",
    "SentiqConnectionError",
    "SentiqError",
    "SentiqTimeoutError",
    "ServiceError",
    "Terms",
    "UploadError",
    "Verdict",
    "score_frame",
]
