"""Checks who may call what. Every view requires a key with a scope, unless it is marked as public."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request

from api.auth.api_keys import ApiKeys
from api.auth.caller import Caller
from api.auth.key_record import ApiKey
from api.auth.open_requests import OpenRequests
from api.auth.rate_limit import RateLimiter
from api.auth.scopes import Scope
from api.http.capacity import open_requests
from api.http.problems import Problem
from api.schemas.times import rfc3339
from tasks.errors import ConfigurationError, StoreUnavailableError
from tasks.settings import Settings

logger = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])

_SCOPE_OF_METHOD = {"GET": Scope.READ, "POST": Scope.SUBMIT, "DELETE": Scope.CANCEL}


def public(view: View) -> View:
    """Mark a view that needs no key and is not rate limited."""
    view.__dict__["public"] = True
    return view


def requires(scope: Scope) -> Callable[[View], View]:
    """Mark a view whose scope is not that of its method: read for GET, submit for POST, cancel for DELETE."""

    def mark(view: View) -> View:
        view.__dict__["scope"] = scope
        return view

    return mark


def scope_of(view: Callable[..., Any], method: str) -> Scope | None:
    """Return the scope that a view requires for a method; None when it is public."""
    if getattr(view, "public", False):
        return None
    return getattr(view, "scope", None) or _SCOPE_OF_METHOD[method]


class Guard:
    """Checks key, open requests, rate and scope of every request before its view runs."""

    def __init__(self, api_keys: ApiKeys, limiter: RateLimiter, settings: Settings) -> None:
        self._api_keys = api_keys
        self._limiter = limiter
        self._open_requests = OpenRequests(open_requests(settings.max_open_requests))
        self._settings = settings

    def register(self, app: Flask) -> None:
        """Check the requests of this app."""
        app.before_request(self._check)
        app.after_request(self._warn)

    def require_keys(self) -> None:
        """Raise ConfigurationError if no key exists: better at the start than as a 401 for every call."""
        if self._settings.auth == "none":
            return
        try:
            keys = self._api_keys.all()
        except StoreUnavailableError as error:
            logger.warning("cannot look for API keys; calls get 503 until Redis answers: %s", error)
            return
        if not keys:
            raise ConfigurationError(
                "there are no API keys, so nobody could call. Make one: `python -m api.auth create NAME`, "
                "or set AUTH=none if everybody who reaches this port may use it."
            )

    def count_stream(self) -> None:
        """Count this request as a stream of results. Raises the 429 if the caller has too many open."""
        self._open_requests.count_stream()

    def upload(self) -> AbstractContextManager[None]:
        """Count this request as an upload while a block lasts. Raises the 429 as above."""
        return self._open_requests.upload()

    def counted(self, blocks: Iterable[bytes]) -> list[bytes]:
        """Make what this request is answered block by block, and count it until it is sent.

        Raises the 429 before the next block is made, if the caller has too much.
        """
        return self._open_requests.counted(blocks)

    def charge(self) -> None:
        """Count this request once more. Raises the 429 if the caller is over the limit."""
        self._limiter.count(g.caller)

    def _check(self) -> None:
        if request.endpoint in (None, "static"):
            return  # no such path, or a file that everybody may read
        method = "GET" if request.method in ("HEAD", "OPTIONS") else request.method
        scope = scope_of(current_app.view_functions[str(request.endpoint)], method)
        if scope is None:
            return
        caller = self._identify(scope)
        g.owner, g.caller = caller.owner, caller
        self._open_requests.count(caller)
        self._limiter.count(caller)
        if not caller.may(scope):
            detail = f"This key does not have the scope {scope}, which {method} {request.path} needs."
            raise _with_challenge(
                403, "scope_missing", detail, f'error="insufficient_scope", scope="{scope}"'
            )
        g.admitted = True

    def _warn(self, response: Response) -> Response:
        """Name the end of a key that expires within a week."""
        key: ApiKey | None = g.caller.key if "caller" in g else None
        if key and key.expires_ms is not None and key.expires_soon(self._api_keys.now_ms()):
            response.headers["X-Key-Expires-At"] = rfc3339(key.expires_ms)
        return response

    def _identify(self, scope: Scope) -> Caller:
        """Return the caller, or raise the 401 that says what to send.

        Operators need a key even where others do not: who reaches a port must not be able to make keys.
        """
        address = request.remote_addr or ""
        if self._settings.auth == "none" and scope is not Scope.OPERATOR:
            return Caller("", frozenset(Scope) - {Scope.OPERATOR}, address)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            self._count_stranger(address)
            raise _with_challenge(401, "key_missing", "Send an API key as `Authorization: Bearer …`.", "")
        key = self._api_keys.find(token.strip())
        if fault := self._fault(key):
            self._count_stranger(address)
            raise _with_challenge(401, *fault, 'error="invalid_token"')
        assert key is not None  # noqa: S101  else it has a fault
        self._api_keys.note_use(key)
        return Caller(key.id, key.scopes, address, key)

    def _fault(self, key: ApiKey | None) -> tuple[str, str] | None:
        """Return the code and the detail of the 401 for a key that may not be used; None for one that may."""
        if key is None:
            return "key_unknown", "This API key is not known."
        if key.disabled:
            return "key_disabled", f"The API key {key.id} is disabled."
        if key.expires_ms is not None and key.expired(self._api_keys.now_ms()):
            return "key_expired", f"The API key {key.id} expired at {rfc3339(key.expires_ms)}."
        return None

    def _count_stranger(self, address: str) -> None:
        """Count a request without a valid key. Raises the 429 if its address sent too many of them."""
        with contextlib.suppress(StoreUnavailableError):
            self._limiter.count(Caller("", frozenset(), address))


def _with_challenge(status: int, code: str, detail: str, error: str) -> Problem:
    problem = Problem(status, code, detail)
    realm = 'Bearer realm="sentiq"'
    problem.headers["WWW-Authenticate"] = f"{realm}, {error}" if error else realm
    return problem
