"""Bodies of responses about API keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.types import Count, ScopeName, Time, closed
from tasks.vocabulary.jobs import QueueClass

KeyId = Annotated[str, Field(json_schema_extra={"pattern": "^[0-9a-f]{8}$"})]


@closed
class Limits(TypedDict):
    """The limits of a key; null is the limit of the service, or all models and classes."""

    rate: float | None
    burst: Count | None
    max_pending_items: Count | None
    max_concurrent_jobs: Count | None
    models: list[str] | None
    classes: list[QueueClass] | None


@closed
class Key(TypedDict):
    """A key without its secrets; `last_used_at` is a minute old at most."""

    id: KeyId
    object: Literal["key"]
    name: str
    description: str
    scopes: list[ScopeName]
    weight: float
    created_at: Time
    last_used_at: Time | None
    expires_at: Time | None
    disabled: bool
    secrets: Count
    old_secret_until: Time | None
    limits: Limits
    kept_bytes: Count


@closed
class NewSecret(Key):
    """A key with a new secret, which is shown this once."""

    secret: str


@closed
class Keys(TypedDict):
    """All keys, the oldest first."""

    object: Literal["list"]
    data: list[Key]
