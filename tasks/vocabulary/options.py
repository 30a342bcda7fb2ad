"""What a job asks of its texts beyond the plain verdict, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

# Most sentences and clauses of a text: those beyond are joined with their neighbours.
MAX_SENTENCES = 128
MAX_CLAUSES = 32

_CLAUSE_CHARS = 10  # the usual length of a clause, in code points
_READ_CHARS = 512  # about the most that a pack reads at once


class OnLongText(StrEnum):
    """How a text is read that has more tokens than the pack reads at once."""

    TRUNCATE = "truncate"  # only the beginning, and the verdict says so
    WINDOW = "window"  # all of it, in windows that overlap
    REJECT = "reject"  # not at all: it fails as text_too_long


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a job, the same for all of its texts."""

    on_long_text: OnLongText = OnLongText.TRUNCATE
    sentences: bool = False
    explain: bool = False

    def encode(self) -> dict[str, Any]:
        """Return only what differs from the defaults, so that plain jobs cost nothing."""
        return {name: value for name, value in asdict(self).items() if value != getattr(PLAIN, name)}

    @classmethod
    def decode(cls, raw: Mapping[str, Any]) -> Self:
        """Read what `encode` wrote."""
        options = cls(**raw)
        return cls(OnLongText(options.on_long_text), options.sentences, options.explain)

    @property
    def detailed(self) -> bool:
        """Return whether verdicts cover parts of the text too."""
        return self.sentences or self.explain

    def cost(self, chars: int) -> int:
        """Return about how many code points the model reads for a text of `chars` code points."""
        clauses = min(MAX_CLAUSES, 1 + chars // _CLAUSE_CHARS)
        repeated = clauses * min(chars, _READ_CHARS) if self.explain else 0
        return chars * (2 if self.sentences else 1) + repeated


PLAIN = Options()
