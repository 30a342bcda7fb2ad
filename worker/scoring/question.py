"""What a classifier is asked. Apart from it, since a child asks before any model library is loaded."""

from dataclasses import dataclass

from tasks.vocabulary.options import PLAIN, Options


@dataclass(frozen=True, slots=True)
class Question:
    """A text and what to tell of it: equal questions have equal answers."""

    text: str
    options: Options = PLAIN
