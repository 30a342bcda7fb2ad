"""Turns request bodies into items and terms; rejects texts that cannot be scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from pydantic import HttpUrl

from api.intake.rejections import InvalidRequestError
from api.schemas.problems import FieldError
from api.schemas.request_bodies import JobIn, PredictBatchIn, PredictIn, TermsIn
from tasks.settings import Settings
from tasks.vocabulary.destinations import AddressRules
from tasks.vocabulary.items import Item, ItemError
from tasks.vocabulary.jobs import Terms
from tasks.vocabulary.options import Options
from tasks.vocabulary.webhooks import Webhook

_MAX_ERRORS = 100


def accept_job(body: JobIn, data: Mapping[int, bytes], settings: Settings, *, strict: bool) -> list[Item]:
    """Return the items of a job; `data` is what they carry, by index.

    A text that cannot be scored becomes a failed item; if it is the only text, or if `strict`, raise
    InvalidRequestError.
    """
    if body.text is not None:
        return require_scorable([Item.accept(body.text, settings.max_text_chars)], settings, "/text")
    given = body.items or []
    _refuse_too_many("/items", len(given), settings)
    items = [
        Item.accept(item.text, settings.max_text_chars, item.id, data.get(i))._replace(
            aspects=tuple(item.aspects or ())
        )
        for i, item in enumerate(given)
    ]
    return require_scorable(items, settings, "/items/{}/text") if strict else items


def accept_terms(
    body: TermsIn, owner: str, request_id: str, settings: Settings, pointer: str = "/webhook/url"
) -> Terms:
    """Return the terms of a job. The address of a webhook's host is checked again at each delivery."""
    terms = body.terms(owner, request_id)
    if terms.options.aspects:
        refuse_details(terms.options, pointer[0])
    if body.webhook is None:
        return terms
    url = body.webhook.url
    return replace(terms, webhook=Webhook(str(url), accept_host(url, settings, pointer), body.webhook.events))


def accept_host(url: HttpUrl, settings: Settings, pointer: str) -> str:
    """Return the host of a webhook. Raises InvalidRequestError where webhooks may not go there."""
    host, detail = url.host or "", None
    if url.username or url.password:
        detail = "A user name or password is not accepted: deliveries are signed instead."
    elif not AddressRules(settings.webhook_allow).allow_host(host):
        detail = f"{host} is not a public address; webhooks go to public ones only."
    if detail:
        raise InvalidRequestError.at(pointer, "webhook_refused", detail)
    return host


def refuse_details(options: Options, pointer: str) -> None:
    """Raise InvalidRequestError if a job with aspects asks for sentences or clauses too."""
    for name in ("sentences", "explain"):
        if getattr(options, name):
            detail = f"`{name}` is not possible together with `aspects`."
            raise InvalidRequestError.at(pointer + name, "aspects_unsupported", detail)


def accept_prediction(body: PredictIn, settings: Settings) -> list[Item]:
    """Return the item of /predict."""
    return require_scorable([Item.accept(body.text, settings.max_text_chars)], settings, "/text")


def accept_predictions(body: PredictBatchIn, settings: Settings) -> list[Item]:
    """Return the items of /predict_batch; raise InvalidRequestError if any text cannot be scored."""
    _refuse_too_many("/texts", len(body.texts), settings)
    items = [Item.accept(text, settings.max_text_chars) for text in body.texts]
    return require_scorable(items, settings, "/texts/{}")


def require_scorable(items: list[Item], settings: Settings, pointer: str) -> list[Item]:
    """Return the items. Raises InvalidRequestError if one has an error; `{}` in `pointer` is its index."""
    for _ in all_scorable(items, 0, settings, pointer, most=len(items)):
        pass
    return items


def all_scorable(
    items: Iterable[Item], first: int, settings: Settings, pointer: str = "/{}", most: int = _MAX_ERRORS
) -> Iterator[Item]:
    """Yield items up to the first one with an error. Raises InvalidRequestError with up to `most` errors.

    `first` is the index of the first item, and `{}` in `pointer` stands for that of the one with the error.
    """
    errors: list[FieldError] = []
    for number, item in enumerate(items, first):
        if item.error is not None:
            detail = explain(item, item.error, settings)
            errors.append({"pointer": pointer.format(number), "code": item.error.value, "detail": detail})
        if len(errors) == most:
            break
        if not errors:
            yield item
    if errors:
        raise InvalidRequestError(errors)


def explain(item: Item, error: ItemError, settings: Settings) -> str:
    """Return what is wrong with an item, with the limit that it breaks and the line of its row."""
    place = "" if item.line is None else f" The row begins in line {item.line}."
    return _explain(item, error, settings) + place


def _explain(item: Item, error: ItemError, settings: Settings) -> str:
    if error is ItemError.TEXT_TOO_LONG:
        return f"{item.chars} characters; at most {settings.max_text_chars} are accepted."
    if error is ItemError.LINE_TOO_LONG:
        return f"The line has more than {settings.max_line_bytes} bytes."
    return error.message


def _refuse_too_many(pointer: str, given: int, settings: Settings) -> None:
    if given > settings.max_items:
        detail = f"{given} given; at most {settings.max_items} are accepted in one request."
        raise InvalidRequestError.at(pointer, "too_many_items", detail)
