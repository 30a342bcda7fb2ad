"""Scores the sentiment of Chinese text with a Sentiq service."""

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
from sentiq.job import Job
from sentiq.models import Counts, Item, ItemError, JobEvent, ModelInfo, Terms, Verdict

__all__ = [
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
]
