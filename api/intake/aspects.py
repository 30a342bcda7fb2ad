"""Aspects and models that do not go together are refused before a job is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from api.intake.rejections import InvalidRequestError
from tasks.vocabulary.items import Item, ItemError
from tasks.vocabulary.options import Options

PAIR = "pair"


def require_fit(options: Options, model: str, inputs: Mapping[str, str | None], pointer: str) -> None:
    """Raise InvalidRequestError for aspects of a job whose model reads none.

    `inputs` are what the models read, by name: `text`, `pair`, or None while that is unknown. `pointer` is
    where the request names the aspects.
    """
    if options.aspects and inputs.get(model) not in (PAIR, None):
        raise InvalidRequestError.at(pointer, ItemError.ASPECTS_UNSUPPORTED, _explain(inputs))


def require_aspects(
    items: Sequence[Item], options: Options, model: str, inputs: Mapping[str, str | None]
) -> None:
    """Raise InvalidRequestError for a job without any aspects whose model requires them."""
    if inputs.get(model) == PAIR and not options.aspects and not any(item.aspects for item in items):
        raise InvalidRequestError.at(
            "/aspects", ItemError.ASPECTS_REQUIRED, ItemError.ASPECTS_REQUIRED.message
        )


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


def _explain(inputs: Mapping[str, str | None]) -> str:
    able = [name for name, reads in inputs.items() if reads == PAIR]
    others = f"these models do: {', '.join(able)}." if able else "no model of this service does."
    return f"The model reads no aspects; {others}"
