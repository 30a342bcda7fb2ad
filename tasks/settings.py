"""The settings of every program: each reads the environment once, when it starts, and passes them down.

This table is the source of docs/configuration.md, .env.example and the compose files: `make configuration`.
"""

from __future__ import annotations

import base64
import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
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
from tasks.redis_url import read_redis_url
from tasks.vocabulary.hosts import is_host
from tasks.vocabulary.jobs import QueueClass
from tasks.vocabulary.model_names import MAX_NAME_CHARS, is_name

PREFIX = "SENTIMENT_"
# What a job may choose for itself: the time its results are kept, and its deadline.
MIN_TTL_S, MAX_TTL_S = 60, 604_800
MAX_DEADLINE_S = 604_800
MAX_DEFERRAL_S = 604_800  # how far ahead the time before which it is not scored may be
# The record of a delivery is kept for seven days; its last attempt has to come well before that.
_MAX_RETRIES_S = 432_000
EMBEDDED_PACK = Path(__file__).resolve().parent.parent / "models" / "embedded"
_PACK = re.compile(r"[^:=]+(:[0-9]*\.?[0-9]*[1-9][0-9]*)?=.+")
_ORIGIN = re.compile(r"https?://[^/\s*A-Z]+")
_HTTP_URL = re.compile(r"https?://[^/\s]+(/\S*)?")
# Marks a setting that docker-compose.yml or an image sets service by service; all others reach every service.
PER_SERVICE = "per service"
# A secret in the wrong variable: a URL with a password, a signing secret, an API key.
_SECRET_LOOKS = re.compile(r"://|whsec_|sentiq_")
# Headings of the generated lists, each with the field that it stands before.
GROUPS = {
    "All programs": "redis_url",
    "API": "host",
    "Admission": "rate_per_s",
    "Size of a request": "max_text_chars",
    "Jobs": "default_model",
    "Webhooks": "webhook_secret",
    "Workers": "pack",
}


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


T = TypeVar("T")
Listed = Annotated[tuple[T, ...], NoDecode, BeforeValidator(_split)]
PerService = Annotated[T, PER_SERVICE]


def _check_name(name: str) -> str:
    if name and not is_name(name):
        message = f"expected at most {MAX_NAME_CHARS} small letters, digits, dots, underscores and hyphens"
        raise ValueError(message)
    return name


ModelName = Annotated[str, AfterValidator(_check_name)]


def is_signing_secret(text: str) -> bool:
    """Return whether the text is `whsec_` and base64 of 24 to 64 bytes, as Standard Webhooks recommends."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return text.startswith("whsec_") and 24 <= len(key) <= 64  # noqa: PLR2004


class Settings(BaseSettings):
    """Every variable of every program, so that one environment serves them all."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    redis_url: PerService[SecretStr] = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        validation_alias="REDIS_URL",
        description="Redis database that holds the job store and the queues; `rediss://` for TLS. "
        "`?ssl_ca_certs=FILE` names an authority of your own; the certificate is always verified. "
        "Unix sockets, client certificates and Sentinel: docs/redis.md.",
    )
    durable: bool = Field(
        default=False,
        validation_alias="DURABLE",
        description="Whether the API says that something was accepted, canceled or deleted only when the log "
        "of Redis is on disk. Redis needs `appendonly yes`, and before version 8 `appendfsync always`, as "
        "Valkey does: docs/redis.md.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged."
    )
    otlp_endpoint: str = Field(
        "",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="URL of an OpenTelemetry collector that takes OTLP over HTTP: `http://collector:4318`. "
        "It turns tracing on, and the other standard `OTEL_` variables apply then: docs/tracing.md.",
    )

    host: PerService[str] = Field("127.0.0.1", description="Address the API listens on.")
    port: PerService[int] = Field(
        8000, ge=1, le=65535, validation_alias="PORT", description="Port the API listens on."
    )
    proxies: PerService[int] = Field(
        0,
        ge=0,
        description="Number of trusted proxies in front of the API. The caller's address is the entry of "
        "`X-Forwarded-For` at this place, counted from the right; 0 ignores the header.",
    )
    api_processes: PositiveInt = Field(
        1, description="gunicorn processes of the API. Each holds thousands of waiting requests."
    )
    keep_alive_s: PositiveInt = Field(
        75,
        description="Seconds that the API keeps a connection open for a next request. "
        "A load balancer in front must close its idle connections earlier; 60 s is usual there.",
    )
    auth: PerService[Literal["keys", "none"]] = Field(
        "keys",
        validation_alias="AUTH",
        description="`keys`: calls need an API key. `none`: everyone who reaches the port may call.",
    )
    hosts: PerService[Listed[str]] = Field(
        (),
        description="Host names of the API besides `localhost`, loopback addresses and `SENTIMENT_HOST`: "
        "`sentiq.example.com,api`. With `AUTH=none`, requests for other names are 421 `unknown_host`.",
    )
    cors_origins: Listed[str] = Field(
        (),
        description="Origins of other sites whose pages may call the API: `https://shop.example.com`.",
    )
    id_secret: PerService[SecretStr | None] = Field(
        None,
        description="Secret that signs job ids. If unset, one is generated once and kept in Redis. "
        "Deployments that share it accept each other's ids.",
    )

    metrics_by_key: bool = Field(
        default=False,
        description="Whether `/metrics` counts what each API key used, for up to 50 keys; it needs no key "
        "and would show their ids.",
    )

    rate_per_s: PositiveInt = Field(
        200,
        description="Requests per second that one API key (with `AUTH=none`, one address) may send; "
        "more are 429 `rate_limited`.",
    )
    rate_burst: PositiveInt = Field(
        2_000, description="Requests the same caller may send at once, in any window of burst / rate seconds."
    )
    quota_items: PositiveInt = Field(
        1_000_000, description="Open items one key may have at once; more are 429 `quota_exceeded`."
    )
    quota_bytes: NonNegativeInt = Field(
        2**32,
        description="Bytes of texts and results that are kept for one key at most; more are 429 "
        "`storage_quota_exceeded`; 0: no such quota. Half of Redis's `maxmemory` is the most in any case.",
    )
    target_wait_interactive_s: PositiveFloat = Field(
        10,
        description="An interactive job is accepted if it should finish within this many seconds; "
        "otherwise it is 503 `service_full`.",
    )
    target_wait_bulk_s: PositiveFloat = Field(3_600, description="The same for a bulk job.")
    assumed_items_per_s: PositiveFloat = Field(
        100, description="Throughput that admission assumes, in items per second, until one is measured."
    )

    max_text_chars: PositiveInt = Field(10_000, description="Longest text, in Unicode code points.")
    max_items: PositiveInt = Field(1_000, description="Most items in one JSON request.")
    max_body_bytes: PositiveInt = Field(
        4 * 1024 * 1024,
        description="Largest JSON request, in bytes. nginx accepts 5 MiB: "
        "raise `client_max_body_size` in deploy/nginx/site.conf too.",
    )
    max_line_bytes: PositiveInt = Field(64 * 1024, description="Longest line or row of an upload, in bytes.")
    max_upload_items: PositiveInt = Field(1_000_000, description="Most items in one upload of lines or rows.")
    max_upload_bytes: PositiveInt = Field(
        2**30,
        description="Largest upload of lines or rows, in bytes after decompression. nginx accepts 1 GiB: "
        "raise `client_max_body_size` of /v1/jobs too.",
    )
    max_body_s: PositiveFloat = Field(
        30, description="Seconds within which the body of a JSON request must arrive."
    )
    max_upload_s: PositiveFloat = Field(3_600, description="The same for an upload of lines or rows.")
    max_open_requests: PositiveInt = Field(
        400,
        description="Requests that one API key (with `AUTH=none`, one address) may have open at one API "
        "process, where a stream of results and an upload count as 8, and a response as one more for each "
        "16 KiB; more are 429 `too_many_open_requests`.",
    )
    max_held: PositiveInt = Field(
        3_000,
        description="Requests that one API process lets wait or stream at once; "
        "the next one is answered at once with what is known.",
    )
    max_wait_s: PositiveFloat = Field(
        30,
        description="Longest wait of one request, in seconds: `Prefer: wait`, /predict and /predict_batch.",
    )

    default_model: ModelName = Field(
        "",
        description="Model of jobs that name none. If unset, the only registered one; "
        "where there are several, a job must name one.",
    )
    result_ttl_s: int = Field(
        86_400,
        ge=MIN_TTL_S,
        le=MAX_TTL_S,
        description="Seconds that results stay readable; a job may choose its own.",
    )
    deadline_interactive_s: PositiveInt = Field(
        600,
        description="Seconds after which the open items of an interactive job time out; "
        "a job may choose its own.",
    )
    deadline_bulk_s: PositiveInt = Field(86_400, description="The same for a bulk job.")
    interactive_items: PositiveInt = Field(
        32,
        description="A job of at most this many items is interactive, a larger one bulk; "
        "a job may choose its own class.",
    )
    interactive_chars: PositiveInt = Field(
        100_000,
        description="Most code points that the model may have to read for an interactive job "
        "(docs/verdicts.md); one that costs more is bulk, or 422 if it asks to be interactive.",
    )
    chunk_items: PositiveInt = Field(
        64, description="Most items in one chunk, the unit that a worker leases and completes."
    )
    chunk_chars: PositiveInt = Field(
        4_096, description="Most code points in one chunk; a longer text gets a chunk of its own."
    )

    webhook_secret: PerService[SecretStr | None] = Field(
        None,
        description="Secret that signs webhooks: `whsec_` and the base64 of 24 to 64 bytes. To replace it, "
        "give the new one, a space and the old one. If unset, one is generated once and kept in Redis.",
    )
    webhook_allow: Listed[str] = Field(
        (),
        description="Hosts, addresses and networks that may receive webhooks besides public ones: "
        "`webhooks.internal,10.1.0.0/16`.",
    )
    webhook_timeout_s: PositiveFloat = Field(
        15, le=50, description="Seconds that one delivery attempt may take."
    )
    webhook_retries_s: Listed[PositiveFloat] = Field(
        (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800),
        description="Seconds before each further delivery attempt, at most 432000 in all; "
        "jitter adds up to a fifth.",
    )

    pack: PerService[Path] = Field(EMBEDDED_PACK, description="Directory of the pack that workers serve.")
    model_name: PerService[ModelName] = Field(
        "",
        description="Name under which jobs ask for that pack: small letters, digits, `.`, `_` and `-`. "
        "If unset, the id of the pack, with `-` for all else.",
    )
    packs: PerService[Listed[str]] = Field(
        (),
        validation_alias="PACKS",
        description="Packs that `python -m worker` serves side by side in place of that one: "
        "`NAME=DIRECTORY,NAME=DIRECTORY`. They share the cores, by weight in `NAME:WEIGHT=DIRECTORY`.",
    )
    engine: PerService[Literal["openvino", "torch"]] = Field(
        "openvino",
        validation_alias="ENGINE",
        description="Engine that runs the pack. `torch` needs fp32 weights, which the embedded pack lacks.",
    )
    device: PerService[Literal["cpu", "cuda"]] = Field(
        "cpu", validation_alias="DEVICE", description="Device the engine runs on; `cuda` needs `torch`."
    )
    concurrency: PositiveInt | None = Field(
        None, description="Child processes of one worker. If unset, one per core; on a GPU, one."
    )
    cores: PerService[PositiveInt | None] = Field(
        None, description="Cores that one worker uses at most. If unset, all that it may run on."
    )
    batch_tokens: PositiveInt | None = Field(
        None,
        description="Most tokens in one forward pass, padding included. If unset, the engine decides.",
    )
    cache_rows: NonNegativeInt = Field(
        50_000,
        description="Model inputs (texts and parts of texts) whose result each child caches; 0: no cache.",
    )
    shared_weights: bool = Field(
        default=False,
        description="Children of a worker share weights in memory; relies on glibc's malloc (docs/packs.md).",
    )
    lease_s: PositiveFloat = Field(
        30, description="Seconds until an unrenewed lease ends and its chunks return to the queue."
    )
    lease_work_s: PositiveFloat = Field(0.5, description="Seconds of work that a child leases at once.")
    bulk_floor: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="Part of a model's capacity that bulk jobs keep while interactive jobs wait all the "
        "time; 0: they wait until no interactive job does.",
    )
    max_attempts: PositiveInt = Field(
        3, description="Times an item may be started. If its last lease is lost too, it fails."
    )
    task_time_limit_s: PositiveInt = Field(
        60,
        description="A child that works on one lease for this many seconds is killed, at most 5 seconds "
        "late. `stop_grace_period` of the worker must be longer than both together.",
    )
    task_events: bool = Field(default=True, description="Workers send the task events that Flower shows.")

    @field_validator("redis_url")
    @classmethod
    def _names_a_redis(cls, url: SecretStr) -> SecretStr:
        read_redis_url(url.get_secret_value())
        return url

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not is_host(host):
                message = f"expected names or addresses without a scheme and a port, not {host}"
                raise ValueError(message)
        return hosts

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                message = f"expected http(s)://host[:port], in small letters and without a path, not {origin}"
                raise ValueError(message)
        return origins

    @field_validator("webhook_secret")
    @classmethod
    def _can_sign(cls, secret: SecretStr | None) -> SecretStr | None:
        for each in secret.get_secret_value().split() if secret else ():
            if not is_signing_secret(each):
                message = "expected whsec_ and base64 of 24 to 64 bytes"
                raise ValueError(message)
        return secret

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if url and not _HTTP_URL.fullmatch(url):
            raise ValueError("expected http:// or https:// and a host")
        return url

    @field_validator("packs")
    @classmethod
    def _are_packs(cls, packs: tuple[str, ...]) -> tuple[str, ...]:
        names = [each.partition("=")[0].partition(":")[0] for each in packs]
        for each, name in zip(packs, names, strict=True):
            if not (is_name(name) and _PACK.fullmatch(each)):
                message = f"expected NAME=DIRECTORY or NAME:WEIGHT=DIRECTORY, not {each}"
                raise ValueError(message)
        if len(set(names)) < len(names):
            raise ValueError("two packs have the same name")
        return packs

    @field_validator("webhook_retries_s")
    @classmethod
    def _end_in_time(cls, delays: tuple[float, ...]) -> tuple[float, ...]:
        if sum(delays) > _MAX_RETRIES_S:
            message = f"together at most {_MAX_RETRIES_S} s"
            raise ValueError(message)
        return delays

    def deadline_s(self, queue_class: QueueClass) -> int:
        """Return the seconds that a job of the class has, unless it chooses its own deadline."""
        bulk = queue_class is QueueClass.BULK
        return self.deadline_bulk_s if bulk else self.deadline_interactive_s

    def target_wait_s(self, queue_class: QueueClass) -> float:
        """Return the seconds within which a job of the class should finish, or is not accepted."""
        bulk = queue_class is QueueClass.BULK
        return self.target_wait_bulk_s if bulk else self.target_wait_interactive_s

    @classmethod
    def read(cls) -> Self:
        """Read the environment.

        Raises ConfigurationError naming the variable, its value unless it may be a secret, and what was
        expected.
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
        for problem in error.errors(include_url=False, include_input=False):
            name = str(problem["loc"][0])
            variable = cls.variables().get(name, name)
            value = os.environ.get(variable, "")
            hidden = variable in cls.secret_variables() or _SECRET_LOOKS.search(value)
            lines.append(f"{variable}={'(hidden)' if hidden else repr(value)}: {problem['msg']}")
        return "; ".join(lines)

    @classmethod
    def secret_variables(cls) -> set[str]:
        """Return the variables whose values are secrets."""
        return {
            variable
            for name, variable in cls.variables().items()
            if "SecretStr" in str(cls.model_fields[name].annotation)
        }


def _unknown(variable: str, known: list[str]) -> str:
    """Return the message for a variable that does not exist; its value may be a secret."""
    bare = {name.removeprefix(PREFIX): name for name in known}
    close = difflib.get_close_matches(variable.removeprefix(PREFIX), bare, 1)
    hint = f"; did you mean {bare[close[0]]}?" if close else f"; known: {', '.join(known)}"
    return f"{variable}: no such setting{hint}"
