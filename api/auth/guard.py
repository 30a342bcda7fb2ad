"""Who may call what. Every view needs a key with a scope, unless it says that it is public."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, g, request

from api.auth.scopes import Caller, Scope, caller
from api.http.problems import Problem
from api.routes.context import services
from tasks.errors import ConfigurationError, StoreUnavailableError

logger = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])

_BY_METHOD = {"GET": Scope.READ, "POST": Scope.SUBMIT, "DELETE": Scope.CANCEL}


def public(view: View) -> View:
    """Mark a view that asks for no key and counts for no rate."""
    view.__dict__["public"] = True
    return view


def needs(scope: Scope) -> Callable[[View], View]:
    """Mark a view whose scope is not that of its method: read for GET, submit for POST, cancel for DELETE."""

    def mark(view: View) -> View:
        view.__dict__["scope"] = scope
        return view

    return mark


def scope_of(view: Callable[..., Any], method: str) -> Scope | None:
    """Return the scope that a view needs for a method; None when it is public."""
    if getattr(view, "public", False):
        return None
    return getattr(view, "scope", None) or _BY_METHOD[method]


def register(app: Flask) -> None:
    """Check every request before its view runs."""
    app.before_request(_check)


def require_keys(app: Flask) -> None:
    """Raise ConfigurationError where nobody could call: that is better told at the start than by 401s."""
    with app.app_context():
        if services().settings.auth == "none":
            return
        try:
            keys = services().api_keys.all()
        except StoreUnavailableError as error:
            logger.warning("cannot look for API keys; calls get 503 until Redis answers: %s", error)
            return
    if not keys:
        raise ConfigurationError(
            "there are no API keys, so nobody could call. Make one: `python -m api.auth create NAME`, "
            "or set AUTH=none if whoever reaches this port may use it."
        )


def _check() -> None:
    if request.endpoint in (None, "static"):
        return  # there is nothing there, or nothing to keep from anybody
    method = "GET" if request.method in ("HEAD", "OPTIONS") else request.method
    scope = scope_of(current_app.view_functions[str(request.endpoint)], method)
    if scope is None:
        return
    g.caller = _identify()
    g.owner = caller().owner
    services().rates.count(caller())
    if not caller().may(scope):
        detail = f"This key does not have the scope {scope}, which {method} {request.path} needs."
        raise _with_challenge(403, "scope_missing", detail, f'error="insufficient_scope", scope="{scope}"')


def _identify() -> Caller:
    """Return the caller, or raise the 401 that tells what to send."""
    address = request.remote_addr or ""
    if services().settings.auth == "none":
        return Caller("", frozenset(Scope), address)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _with_challenge(401, "key_missing", "Send an API key as `Authorization: Bearer …`.", "")
    key = services().api_keys.find(token.strip())
    if key is None:
        raise _with_challenge(401, "key_unknown", "This API key is not known.", 'error="invalid_token"')
    return Caller(key.id, key.scopes, address)


def _with_challenge(status: int, code: str, detail: str, error: str) -> Problem:
    problem = Problem(status, code, detail)
    realm = 'Bearer realm="sentiq"'
    problem.headers["WWW-Authenticate"] = f"{realm}, {error}" if error else realm
    return problem
