"""POST /v1/jobs with lines instead of one document: the job grows while they come in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from flask import request
from pydantic import ValidationError

from api.http.problems import from_validation, invalid
from api.http.request import idempotency_key, query_choice
from api.intake.ndjson import blocks, lines, read_item
from api.intake.submission import Accepted
from api.intake.validation import accept_terms, explain
from api.routes.context import services
from api.schemas.request_bodies import TermsIn, owner
from tasks.settings import Settings
from tasks.vocabulary.items import Item

MEDIA_TYPE = "application/x-ndjson"

_MOST_ERRORS = 100
_WITH_PARTS = ("metadata", "webhook")


def accept_upload() -> Accepted:
    """Make a job of the lines of the request's body. Raises the Problem that is wrong with them."""
    terms_in, strict = _terms(), query_choice("strict", "true", "false") == "true"
    key = idempotency_key(None)
    body = _Body(services().settings, f"{terms_in!r} {strict}", strict=strict)
    terms = accept_terms(terms_in, owner(), services().settings, "?webhook.url")
    return services().submission.take(body.items(), terms, key, body.digest)


class _Body:
    """The lines, hashed as they are read."""

    def __init__(self, settings: Settings, terms: str, *, strict: bool) -> None:
        self._settings = settings
        self._strict = strict
        self._hash = hashlib.sha256(f"upload {terms}\n".encode())
        self._errors: list[dict[str, str]] = []

    def digest(self) -> str:
        """Return the hash of what was read."""
        return self._hash.hexdigest()

    def items(self) -> Iterator[Item]:
        """Yield one item a line. Raises the Problem that is wrong with them all."""
        number = -1
        for number, line in enumerate(lines(self._blocks(), self._settings.max_line_bytes)):
            if number == self._settings.max_upload_items:
                raise _wrong("too_many_items", f"at most {number} items are accepted in an upload.")
            item = read_item(line, self._settings)
            if self._strict and item.error is not None:
                self._note(number, item)
            if not self._errors:
                yield item
        if self._errors:
            raise invalid(self._errors)
        if number < 0:
            raise _wrong("no_items", "give at least one line.")

    def _blocks(self) -> Iterator[bytes]:
        for block in blocks(self._settings.max_upload_bytes):
            self._hash.update(block)
            yield block

    def _note(self, number: int, item: Item) -> None:
        if item.error is not None:
            detail = explain(item, item.error, self._settings)
            self._errors.append({"pointer": f"/{number}", "code": item.error, "detail": detail})
        if len(self._errors) == _MOST_ERRORS:
            raise invalid(self._errors)


def _terms() -> TermsIn:
    """Read the terms of an upload from the query; parts as `metadata.name=value`, `webhook.url=value`."""
    given: dict[str, Any] = {}
    for name, value in request.args.items():
        whole, dot, part = name.partition(".")
        if dot and whole in _WITH_PARTS:
            given.setdefault(whole, {})[part] = value.split(",") if name == "webhook.events" else value
        elif name != "strict":
            given[name] = value
    try:
        return TermsIn.model_validate(given, strict=False)
    except ValidationError as error:
        raise from_validation(error, query=True) from None


def _wrong(code: str, detail: str) -> Exception:
    return invalid([{"pointer": "", "code": code, "detail": detail}])
