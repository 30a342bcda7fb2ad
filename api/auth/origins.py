"""Which host names and which web pages the API serves.

A browser on the machine of somebody who may call the API sends what any web page asks it to. Where calls
need a key, such a page lacks it. Where they need none, host names keep out pages whose own name resolves to
this machine (DNS rebinding), and origins keep out pages that only send and need not see the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any, TypeVar

from flask import Flask, Response, current_app, request

from api.http.problems import Problem
from tasks.settings import Settings
from tasks.vocabulary.hosts import bare, is_loopback, is_unspecified, without_port

View = TypeVar("View", bound=Callable[..., Any])

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# What a page of a listed origin may send, and what it may read of an answer.
_SENT = (
    *("Accept", "Authorization", "Content-Encoding", "Content-Type", "Idempotency-Key", "Last-Event-ID"),
    *("Prefer", "X-Request-Id"),
)
EXPOSED = (
    *("Content-Disposition", "Idempotent-Replayed", "Location", "Preference-Applied", "Retry-After"),
    *("WWW-Authenticate", "X-Complete", "X-Key-Expires-At", "X-Next-Cursor", "X-Request-Id"),
)
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": ", ".join(_SENT),
    "Access-Control-Max-Age": "600",
}


def any_host(view: View) -> View:
    """Mark a view that answers under any host name: a probe, which shows nothing of any caller."""
    view.__dict__["any_host"] = True
    return view


def has_any_host(view: Callable[..., Any]) -> bool:
    """Return whether a view is marked with `any_host`."""
    return bool(getattr(view, "any_host", False))


class Origins:
    """The host names of the service, and the origins of other sites whose pages may call it."""

    def __init__(self, settings: Settings) -> None:
        own = [] if is_unspecified(settings.host) else [settings.host]
        self._hosts = {bare(host) for host in (*own, *settings.hosts)}
        self._listed = frozenset(settings.cors_origins)
        self._keyless = settings.auth == "none"

    def register(self, app: Flask) -> None:
        """Check the requests of this app; must come before the keys, because a preflight has none."""
        app.before_request(self._check)
        app.after_request(self._add_headers)

    def _check(self) -> Response | None:
        if self._keyless:
            self._check_host()
            if request.method not in _SAFE_METHODS:
                self._check_page()
        if self._origin_is_listed() and "Access-Control-Request-Method" in request.headers:
            return Response(status=204, headers=_PREFLIGHT)
        return None

    def _check_host(self) -> None:
        """Raise the 421 of a host name that is not the service's own."""
        given = request.headers.get("Host")
        view = current_app.view_functions.get(request.endpoint or "")
        if given is None or (view and has_any_host(view)):
            return
        host = without_port(given)
        if host not in self._hosts and not is_loopback(host) and host != _local_address():
            detail = f"This service does not answer to the host {given!r}: SENTIMENT_HOSTS lists its names."
            raise Problem(421, "unknown_host", detail)

    def _check_page(self) -> None:
        """Raise the 403 of a request that a page of another site sent."""
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
        own = origin is None or origin.partition("://")[2].lower() == request.headers.get("Host", "").lower()
        if self._origin_is_listed() or (own and site in ("same-origin", "none")):
            return
        detail = "A page of another site sent this: SENTIMENT_CORS_ORIGINS lists the origins that may."
        raise Problem(403, "foreign_origin", detail)

    def _origin_is_listed(self) -> bool:
        return request.headers.get("Origin") in self._listed

    def _add_headers(self, response: Response) -> Response:
        if self._listed:
            response.vary.add("Origin")
        if self._origin_is_listed():
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = ", ".join(EXPOSED)
        return response


def _local_address() -> str:
    """Return the address of this machine that the connection came in on; no other name leads there."""
    address = ip_address(request.environ["gunicorn.socket"].getsockname()[0].partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
