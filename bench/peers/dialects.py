"""How peers are asked, and how their answers are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.load.callers import post


@dataclass(frozen=True)
class Dialect:
    """The requests and answers of a server: `texts` is how many of them a request may hold in bulk."""

    ask: Callable[[Sequence[str]], bytes]
    read: Callable[[Any], list[tuple[str, float]]]
    texts: int = 1


def _one(texts: Sequence[str]) -> bytes:
    (text,) = texts
    return post("/predict", {"text": text})


def read_one(body: Any) -> list[tuple[str, float]]:
    """Return the verdict of an answer with one label and its score."""
    return [(body["label"], body["score"])]


def _many(texts: Sequence[str]) -> bytes:
    return post("/bulk", {"texts": [*texts]})


def _read_many(body: Any) -> list[tuple[str, float]]:
    return [each for verdict in body for each in read_one(verdict)]


def _batch(texts: Sequence[str]) -> bytes:
    return post("/predict", {"text": [*texts]})


def _classify(texts: Sequence[str]) -> bytes:
    return post("/classify", {"model": "peer", "input": [*texts]})


def _read_classified(body: Any) -> list[tuple[str, float]]:
    return [
        max(((each["label"], each["score"]) for each in text), key=lambda each: each[1])
        for text in body["data"]
    ]


SINGLE = Dialect(_one, read_one)
LIST = Dialect(_many, _read_many, texts=1000)
# BentoML makes lists of single texts itself, but a request holds a list all the same.
LISTED = Dialect(_batch, _read_many)
INFINITY = Dialect(_classify, _read_classified)
INFINITY_LIST = Dialect(_classify, _read_classified, texts=256)


def read_verdicts(dialect: Dialect, body: bytes) -> list[tuple[str, float]]:
    """Return the label and the probability of each text of an answer. Raise ValueError if it has none."""
    try:
        found = dialect.read(json.loads(body))
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"no verdicts in {body[:200]!r}") from error
    if not all(isinstance(label, str) and 0 <= score <= 1 for label, score in found):
        raise ValueError(f"no probabilities in {body[:200]!r}")
    return found
