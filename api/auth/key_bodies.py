"""What a key is made and changed with, by HTTP and by `python -m api.auth`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.auth.key_record import MAX_WEIGHT, MIN_WEIGHT, ApiKey
from api.auth.scopes import Scope
from api.schemas.request_bodies import WHOLE, ModelName
from api.schemas.types import PRINTABLE, AwareTime
from tasks.vocabulary.jobs import QueueClass
from tasks.vocabulary.key_limits import KeyLimits

DEFAULT_SCOPES = (Scope.SUBMIT, Scope.READ, Scope.CANCEL)
MAX_OVERLAP_S = 30 * 86_400
# With the lowest rate and the highest burst the window is still a number of milliseconds that Redis takes.
_MIN_RATE, _MAX_RATE, _MAX_COUNT, _MAX_MODELS = 0.001, 1_000_000, 1_000_000_000, 64
_UNIQUE: dict[str, Any] = {"uniqueItems": True}


def _unique(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        message = "each value may be given once"
        raise ValueError(message)
    return values


_ONCE = AfterValidator(_unique)
KeyName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=PRINTABLE)]
Description = Annotated[str, StringConstraints(max_length=500, pattern=PRINTABLE)]
_Scopes = Annotated[list[Scope], Field(min_length=1, max_length=len(Scope), json_schema_extra=_UNIQUE), _ONCE]
_Count = Annotated[int, Field(ge=1, le=_MAX_COUNT), WHOLE]
_Rate = Annotated[float, Field(ge=_MIN_RATE, le=_MAX_RATE)]
_Weight = Annotated[float, Field(ge=MIN_WEIGHT, le=MAX_WEIGHT)]
_Models = Annotated[
    list[ModelName], Field(min_length=1, max_length=_MAX_MODELS, json_schema_extra=_UNIQUE), _ONCE
]
_Classes = Annotated[
    list[QueueClass], Field(min_length=1, max_length=len(QueueClass), json_schema_extra=_UNIQUE), _ONCE
]


class _KeyBody(BaseModel):
    """Unknown fields are rejected, so a typo is never ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class LimitsIn(_KeyBody):
    """Limits of a key; one that is null is that of the service, one that is left out stays as it is."""

    rate: _Rate | None = Field(None, description="Requests a second, in the long run.")
    burst: _Count | None = Field(None, description="Requests at once.")
    max_pending_items: _Count | None = Field(None, description="Items that are not finished.")
    max_concurrent_jobs: _Count | None = Field(None, description="Jobs that are not finished.")
    models: _Models | None = Field(None, description="The models that jobs may name; null: all.")
    classes: _Classes | None = Field(None, description="The classes of jobs; null: both.")

    def applied(self, limits: KeyLimits) -> KeyLimits:
        """Return limits with those that are given."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return replace(limits, **{name: _frozen(value) for name, value in given.items()})


class KeyIn(_KeyBody):
    """Body of POST /v1/admin/keys."""

    name: KeyName = Field(description="Who uses the key, for people.")
    description: Description = ""
    scopes: _Scopes = Field(list(DEFAULT_SCOPES))
    weight: _Weight = Field(1, description="Its share of a full service beside other keys.")
    expires_at: AwareTime | None = Field(None, description="When the key ends; null: never.")
    limits: LimitsIn = Field(default_factory=LimitsIn)

    @property
    def terms(self) -> dict[str, Any]:
        """Return the fields of the key beside name and scopes."""
        return {
            "weight": self.weight,
            "description": self.description,
            "expires_ms": _ms(self.expires_at),
            "limits": self.limits.applied(KeyLimits()),
        }


class KeyPatchIn(_KeyBody):
    """Body of PATCH /v1/admin/keys/{key_id}: what is left out stays as it is."""

    name: KeyName = Field("", description="Who uses the key, for people.")
    description: Description = ""
    scopes: _Scopes = Field([])
    weight: _Weight = Field(1, description="Its share of a full service beside other keys.")
    expires_at: AwareTime | None = Field(None, description="When the key ends; null: never.")
    disabled: bool = Field(default=False, description="A disabled key works no more until it is enabled.")
    limits: LimitsIn = Field(default_factory=LimitsIn)

    def applied(self, key: ApiKey) -> ApiKey:
        """Return the key with what is given."""
        values: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "scopes": frozenset(self.scopes),
            "weight": self.weight,
            "disabled": self.disabled,
            "expires_ms": _ms(self.expires_at),
            "limits": self.limits.applied(key.limits),
        }
        given = {name.replace("expires_at", "expires_ms") for name in self.model_fields_set}
        return replace(key, **{name: values[name] for name in given})


class RotateIn(_KeyBody):
    """Body of POST /v1/admin/keys/{key_id}/rotate."""

    overlap_s: Annotated[int, Field(ge=0, le=MAX_OVERLAP_S), WHOLE] | None = Field(
        None, description="Seconds for which the previous secret stays valid; null: until the next rotation."
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _ms(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)
