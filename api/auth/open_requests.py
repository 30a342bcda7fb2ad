"""Limits the requests that one caller has open at this process."""

from __future__ import annotations

from collections import Counter

from flask import Response, after_this_request

from api.auth.scopes import Caller
from api.http.problems import Problem


class OpenRequests:
    """Counts the requests of each caller from their first check until their response has been sent."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def count(self, caller: Caller) -> None:
        """Count the request that is being handled. Raises the 429 if its caller has too many open ones."""
        identity = caller.identity
        if self._open[identity] >= self._most:
            whose = "This key" if caller.owner else "This address"
            detail = f"{whose} may have {self._most} requests open at once."
            raise Problem(429, "too_many_open_requests", detail, retry_after_s=1)
        self._open[identity] += 1

        def close() -> None:
            self._open[identity] -= 1
            if not self._open[identity]:
                del self._open[identity]

        @after_this_request
        def close_with_response(response: Response) -> Response:
            response.call_on_close(close)
            return response
