"""The input of the classifier: a text and its options.

A module of its own because a worker's child imports it before any model library is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.vocabulary.options import PLAIN, Options


@dataclass(frozen=True, slots=True)
class Question:
    """A text and the options of its analysis. Equal questions have equal answers."""

    text: str
    options: Options = PLAIN
