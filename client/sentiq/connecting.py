"""How the client connects: address, key, and what a broken connection is called."""

from __future__ import annotations

import os
import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx2

from sentiq.errors import (
    BadRequestError,
    ConfigurationError,
    SentiqConnectionError,
    SentiqError,
    SentiqTimeoutError,
)

DEFAULT_URL = "http://localhost:8000"
_CONNECT_S = 10.0


def base_url(url: str | None) -> str:
    """Return the address of the service. Raises ConfigurationError if it cannot be used."""
    given = (url or os.environ.get("SENTIQ_URL") or DEFAULT_URL).rstrip("/")
    try:
        parts = urlsplit(given)
        rest = parts.query or parts.fragment or parts.port == 0
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not rest
    except ValueError:
        usable = False
    if "@" in given:
        raise ConfigurationError("The URL holds a user or a password: give the API key as `key`.")
    if not usable:
        raise ConfigurationError(f"{given!r} is no address of a service, like {DEFAULT_URL}.")
    return given


def options(url: str, key: str | None, timeout: float, *, verify: bool | ssl.SSLContext) -> dict[str, Any]:
    """Return the arguments of a client of httpx2 that speaks to this service only.

    It follows no redirect and reads neither proxies nor passwords from the environment, so the key goes to
    no one else.
    """
    key = key_for(url) if key is None else key
    headers = {"user-agent": "sentiq-python", "accept-encoding": "gzip"}
    if key:
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ConfigurationError("The API key has characters that no key has; it is not shown here.")
        headers["authorization"] = f"Bearer {key}"
    return {
        "base_url": url,
        "headers": headers,
        "timeout": httpx2.Timeout(timeout, connect=min(timeout, _CONNECT_S)),
        "trust_env": False,
        "follow_redirects": False,
        "verify": verify,
    }


def key_for(url: str) -> str | None:
    """Return SENTIQ_API_KEY, unless SENTIQ_URL says that it is the key of another service."""
    own = os.environ.get("SENTIQ_URL")
    if own and _origin(own) != _origin(url):
        return None
    return os.environ.get("SENTIQ_API_KEY")


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:  # no address, which is another than any other
        return "", url
    return parts.scheme, parts.netloc.lower()


def fault_of(error: httpx2.RequestError) -> SentiqError:
    """Return our error of a broken connection, without the request, which holds the key."""
    if isinstance(error, httpx2.LocalProtocolError):  # as of a header with a line break: no repetition helps
        return BadRequestError(f"The request cannot be sent: {error}")
    kind = SentiqTimeoutError if isinstance(error, httpx2.TimeoutException) else SentiqConnectionError
    return kind(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
