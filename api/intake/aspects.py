"""Aspects and models that do not go together are refused before a job is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from api.intake.rejections import InvalidRequestError
from tasks.vocabulary.items import Item, ItemError
from tasks.vocabulary.options import Options

PAIR = "pair"


def require_fit(options: Options, reads: str | None, able: Sequence[str], pointer: str) -> None:
    """Raise InvalidRequestError for aspects of a job whose model reads none.

    `reads` is what the model reads: `text`, `pair`, or None while that is unknown. `able` are the names of
    models that read aspects, `pointer` is where the request gives them.
    """
    if options.aspects and reads not in (PAIR, None):
        others = f"these models do: {', '.join(able)}." if able else "no model of this service does."
        detail = f"The model reads no aspects; {others}"
        raise InvalidRequestError.at(pointer, ItemError.ASPECTS_UNSUPPORTED, detail)


def require_aspects(items: Sequence[Item], options: Options, reads: str | None, pointer: str) -> None:
    """Raise InvalidRequestError for a job without any aspects whose model requires them.

    `pointer` is where the request would give them.
    """
    if reads == PAIR and not options.aspects and not any(item.aspects for item in items):
        required = ItemError.ASPECTS_REQUIRED
        raise InvalidRequestError.at(pointer, required, required.message)


def fitted(items: Iterable[Item], options: Options, reads: str | None) -> Iterator[Item]:
    """Yield the items; one whose aspects do not fit the job or its model becomes an item with an error."""
    for item in items:
        error = None if item.error else _misfit(item, options, reads)
        yield item._replace(text="", error=error, aspects=()) if error else item


def _misfit(item: Item, options: Options, reads: str | None) -> ItemError | None:
    if item.aspects and options.detailed:
        return ItemError.INVALID_ASPECTS
    if item.aspects and reads not in (PAIR, None):
        return ItemError.ASPECTS_UNSUPPORTED
    if reads == PAIR and not (item.aspects or options.aspects):
        return ItemError.ASPECTS_REQUIRED
    return None
