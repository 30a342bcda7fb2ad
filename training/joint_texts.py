"""The texts of joint training: what is read in every pass, what is new in each, and what measures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from tasks.vocabulary.labels import NEGATIVE_POSITIVE, LabelSet
from training.near_copies import between, group
from training.written import NEGATIVE, NEUTRAL, POSITIVE, read_written
from worker.evaluate.labelled import read_labelled, read_table
from worker.packing.known_labels import known_labels

REVIEWS = "reviews"  # the domain of texts of a file that has no domains
_FITTED_REVIEWS = 3  # every third group of dev texts is fitted to


class Text(NamedTuple):
    """A text with its label, NEGATIVE, NEUTRAL or POSITIVE, its domain, and the part that it measures in."""

    text: str
    label: str
    domain: str
    fitted: bool = False


@dataclass(frozen=True)
class Classifier:
    """A label set, by the labels of the texts in its order, and its columns among the logits."""

    name: str
    order: tuple[str, ...]
    labels: LabelSet
    columns: slice

    def numbers(self, texts: Sequence[Text]) -> list[int]:
        """Return the number of each text's label; all of them must have one."""
        return [self.order.index(text.label) for text in texts]

    def known(self, texts: Sequence[Text]) -> list[Text]:
        """Return the texts whose label it has."""
        return [text for text in texts if text.label in self.order]


TWO = Classifier("two", (NEGATIVE, POSITIVE), NEGATIVE_POSITIVE, slice(0, 2))
WITH_NEUTRAL = LabelSet(tuple(filter(None, known_labels(("negative", "neutral", "positive")))))
THREE = Classifier("three", (NEGATIVE, NEUTRAL, POSITIVE), WITH_NEUTRAL, slice(2, 5))
LOGITS = 5


class Texts(NamedTuple):
    """Texts that are read in every pass, rows of the training file, and two kinds of texts to measure with.

    `held_out` are written texts of writers and domains that are not learned from, `reviews` are dev texts.
    Rows of the training file may be neutral, and say otherwise, and so may dev texts.
    """

    written: list[Text]
    rows: list[Text]
    held_out: list[Text]
    reviews: list[Text]

    def learnt(self, classifier: Classifier) -> list[Text]:
        """Return what a classifier's n-grams are learned from."""
        return classifier.known(self.written if classifier is THREE else [*self.written, *self.rows])

    def measuring(self, classifier: Classifier) -> list[Text]:
        """Return what a classifier is measured with."""
        return classifier.known(self.held_out if classifier is THREE else [*self.reviews, *self.held_out])


def read_texts(train: Path, dev: Path, written: Path, apart: Sequence[Path]) -> Texts:
    """Return the texts of the files, without those to learn from that are near one that measures.

    The texts of the files `apart` measure too. Raises LabelledFileError.
    """
    own = read_written(written)
    held_out = [Text(each.text, each.label, each.domain) for each in own if each.held_out]
    taught = [Text(each.text, each.label, each.domain) for each in own if not each.held_out]
    reviews = _read(dev)
    others = list(chain.from_iterable(map(_texts_of, apart)))
    measuring = [*others, *(each.text for each in (*held_out, *reviews))]
    learnt = _without_copies([*taught, *_read(train)], measuring)
    places = len(_without_copies(taught, measuring))
    return Texts(learnt[:places], learnt[places:], _parted_by_domain(held_out), _parted_by_group(reviews))


def _read(path: Path) -> list[Text]:
    file = read_labelled(path)
    numbers = file.numbers(NEGATIVE_POSITIVE)
    return [
        Text(row.text, TWO.order[number], row.domain or REVIEWS)
        for row, number in zip(file.rows, numbers, strict=True)
    ]


def _texts_of(path: Path) -> list[str]:
    _, rows = read_table(path, "text")
    return [row["text"] for _, row in rows]


def _without_copies(texts: list[Text], measuring: Sequence[str]) -> list[Text]:
    near = {number for number, _ in between([each.text for each in texts], measuring)}
    return [each for number, each in enumerate(texts) if number not in near]


def _parted_by_domain(texts: Sequence[Text]) -> list[Text]:
    """Return the texts, those of half of the domains fitted to: the others are judged like new domains."""
    return [each._replace(fitted=_number(each.domain) % 2 == 0) for each in texts]


def _parted_by_group(texts: Sequence[Text]) -> list[Text]:
    """Return the texts, some fitted to; near copies are in one part."""
    first = group([each.text for each in texts])
    return [
        each._replace(fitted=_number(texts[at].text) % _FITTED_REVIEWS == 0)
        for each, at in zip(texts, first.tolist(), strict=True)
    ]


def _number(name: str) -> int:
    return hashlib.sha256(name.encode()).digest()[0]
