"""DURABLE=true: what a request changed is on disk before its answer says that it was done."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request

from api.http.error_handlers import render_error
from api.waiting.turns import turns
from tasks.errors import SentiqError, StoreUnavailableError
from tasks.store.jobs import JobStore

_READING = ("GET", "HEAD", "OPTIONS")
# By the names of handlers: what they answer with is all there is of it.
_LASTS_NOT = ("lookup_jobs", "predict_one", "predict_batch")
_FAILED = 400


def register(app: Flask, store: JobStore) -> None:
    """Have the answers of an app wait for the disk."""

    def begin() -> None:
        g.began_s = time.monotonic()

    def settle(response: Response) -> Response:
        handler = str(request.endpoint).rsplit(".", maxsplit=1)[-1]
        if response.status_code >= _FAILED or request.method in _READING or handler in _LASTS_NOT:
            return response
        try:
            with turns.paused():
                store.durability.settle(g.began_s)
        except SentiqError as error:
            failed = render_error(StoreUnavailableError(str(error)))
            # What ends with the response, as the count of open requests, ends with this one.
            failed.call_on_close(response.close)
            return failed
        return response

    app.before_request(begin)
    app.after_request(settle)
