"""The one settings object of a program, read once from the environment and passed down."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tasks.errors import ConfigurationError
from tasks.vocabulary.webhooks import is_signing_secret

PREFIX = "SENTIMENT_"
# How far a job may move its own deadline and the time for which its results are kept.
LEAST_TTL_S, MOST_TTL_S = 60, 604_800
MOST_DEADLINE_S = 604_800
# A delivery's record is kept for seven days at most.
_LONGEST_RETRIES_S = 432_000
EMBEDDED_PACK = Path(__file__).resolve().parent.parent / "models" / "embedded"


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


T = TypeVar("T")
Listed = Annotated[tuple[T, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Every variable of every program, so that one environment serves them all."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        validation_alias="REDIS_URL",
        description="The Redis that holds the job store and the queues.",
    )
    id_secret: SecretStr | None = Field(
        None, description="Signs job ids; without it a secret is made once and kept in Redis."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    task_events: bool = Field(default=True, description="Workers send the task events that Flower shows.")

    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=1, le=65535, validation_alias="PORT", description="Port the API listens on.")
    proxies: int = Field(
        0, ge=0, description="Proxies in front of the API whose X-Forwarded-For tells where a caller is."
    )
    api_processes: PositiveInt = Field(1, description="gunicorn workers; each holds thousands of waiters.")
    auth: Literal["keys", "none"] = Field(
        "keys", validation_alias="AUTH", description="`keys`: every call needs one. `none`: anybody may call."
    )
    rate_per_s: PositiveInt = Field(
        200, description="Requests a second of one key, or of one address without."
    )
    rate_burst: PositiveInt = Field(2_000, description="As many it may send at once.")
    quota_items: PositiveInt = Field(1_000_000, description="Most items of a key that are not done yet.")
    target_wait_interactive_s: PositiveFloat = Field(
        10, description="Interactive jobs are accepted while they should be over by then."
    )
    target_wait_bulk_s: PositiveFloat = Field(3_600, description="Bulk jobs are accepted while they should.")
    assumed_items_per_s: PositiveFloat = Field(
        100, description="The drain rate that is counted on until one is measured."
    )
    max_text_chars: PositiveInt = Field(10_000, description="Longest text, in code points.")
    max_items: PositiveInt = Field(1_000, description="Most items in one request body.")
    max_body_bytes: PositiveInt = Field(4 * 1024 * 1024, description="Largest request body.")
    max_line_bytes: PositiveInt = Field(64 * 1024, description="Longest line of an upload.")
    max_upload_items: PositiveInt = Field(1_000_000, description="Most items in an upload.")
    max_upload_bytes: PositiveInt = Field(2**30, description="Largest upload, decompressed.")
    max_held: PositiveInt = Field(
        3_000, description="Most requests of a process that wait or stream at once."
    )
    max_wait_s: PositiveFloat = Field(30, description="Longest `Prefer: wait` and longest /predict.")
    result_ttl_s: int = Field(
        86_400, ge=LEAST_TTL_S, le=MOST_TTL_S, description="How long results stay readable."
    )
    deadline_interactive_s: PositiveInt = Field(600, description="An interactive job is over by then.")
    deadline_bulk_s: PositiveInt = Field(86_400, description="A bulk job is over by then.")
    interactive_items: PositiveInt = Field(32, description="A job of up to so many items is interactive.")
    chunk_items: PositiveInt = Field(64, description="Most items in a chunk.")
    chunk_chars: PositiveInt = Field(4_096, description="Most code points in a chunk of several items.")

    webhook_secret: SecretStr | None = Field(
        None,
        description="Signs webhooks: whsec_ and base64; two, with a space between, while one is replaced.",
    )
    webhook_allow: Listed[str] = Field(
        (), description="Hosts, addresses and networks, by comma, that webhooks may go to beside public ones."
    )
    webhook_timeout_s: PositiveFloat = Field(15, le=50, description="A receiver must answer within.")
    webhook_retries_s: Listed[PositiveFloat] = Field(
        (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800),
        description="Delays, by comma, before each further attempt at a delivery; jitter adds up to a fifth.",
    )

    pack: Path = Field(EMBEDDED_PACK, description="Directory of the pack that workers serve.")
    engine: Literal["openvino", "torch"] = Field(
        "openvino", validation_alias="ENGINE", description="What runs the pack."
    )
    device: Literal["cpu", "cuda"] = Field("cpu", validation_alias="DEVICE", description="Where it runs.")
    concurrency: PositiveInt | None = Field(
        None, description="Children of a worker; if unset one per core, or a single one for a GPU."
    )
    batch_tokens: PositiveInt | None = Field(
        None, description="Token budget of one forward pass, padding included; the engine's if unset."
    )
    cache_rows: NonNegativeInt = Field(
        50_000, description="Texts whose verdict each child remembers; 0: every text is computed."
    )
    shared_weights: bool = Field(
        default=False,
        description="Children of a worker share weights in memory; relies on glibc's malloc (docs/packs.md).",
    )
    lease_s: PositiveFloat = Field(30, description="A child that is silent for so long loses its chunks.")
    lease_work_s: PositiveFloat = Field(1.0, description="How much work, in seconds, one lease should hold.")
    max_attempts: PositiveInt = Field(
        3, description="How often an item may be started before it is given up."
    )
    task_time_limit_s: PositiveInt = Field(
        60, description="A child busy with one lease for so long is killed."
    )

    @field_validator("redis_url")
    @classmethod
    def _names_a_redis(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("redis://", "rediss://")):
            message = "expected redis://[:password@]host[:port]/db, or rediss:// for TLS"
            raise ValueError(message)
        return url

    @field_validator("webhook_secret")
    @classmethod
    def _can_sign(cls, secret: SecretStr | None) -> SecretStr | None:
        for each in secret.get_secret_value().split() if secret else ():
            if not is_signing_secret(each):
                message = "expected whsec_ and base64 of 24 to 64 bytes"
                raise ValueError(message)
        return secret

    @field_validator("webhook_retries_s")
    @classmethod
    def _end_in_time(cls, delays: tuple[float, ...]) -> tuple[float, ...]:
        if sum(delays) > _LONGEST_RETRIES_S:
            message = f"together at most {_LONGEST_RETRIES_S} s"
            raise ValueError(message)
        return delays

    @classmethod
    def read(cls) -> Self:
        """Read the environment.

        Raises ConfigurationError naming the variable, its value and what was expected.
        """
        known = cls.variables().values()
        unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
        if unknown:
            raise ConfigurationError(_unknown(unknown[0], sorted(known)))
        try:
            return cls()
        except ValidationError as error:
            raise ConfigurationError(cls._explain(error)) from None

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Map each field to the environment variable that sets it."""
        return {
            name: str(field.validation_alias or PREFIX + name.upper())
            for name, field in cls.model_fields.items()
        }

    @classmethod
    def _explain(cls, error: ValidationError) -> str:
        lines = []
        for problem in error.errors(include_url=False):
            name = str(problem["loc"][0])
            variable = cls.variables().get(name, name)
            secret = "secret" in name or "redis_url" in name
            value = "(hidden)" if secret else repr(os.environ.get(variable, problem["input"]))
            lines.append(f"{variable}={value}: {problem['msg']}")
        return "; ".join(lines)


def _unknown(variable: str, known: list[str]) -> str:
    bare = {name.removeprefix(PREFIX): name for name in known}
    close = difflib.get_close_matches(variable.removeprefix(PREFIX), bare, 1)
    hint = f"; did you mean {bare[close[0]]}?" if close else f"; known: {', '.join(known)}"
    return f"{variable}={os.environ[variable]!r}: no such setting{hint}"
