"""What a job asks of its texts beyond the plain verdict, how it is written down and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

# A text has so many at most: what lies beyond is read together with its neighbours.
MAX_SENTENCES = 128
MAX_CLAUSES = 32

_CLAUSE_CHARS = 10  # a clause has about so many code points
_READ_CHARS = 512  # and no pack reads more than about so many at once


class OnLongText(StrEnum):
    """What becomes of a text with more tokens than the pack reads at once."""

    TRUNCATE = "truncate"  # its beginning is read, and the verdict says so
    WINDOW = "window"  # all of it is read, in windows that overlap
    REJECT = "reject"  # it fails as text_too_long


@dataclass(frozen=True, slots=True)
class Options:
    """The same for all texts of a job."""

    on_long_text: OnLongText = OnLongText.TRUNCATE
    sentences: bool = False
    explain: bool = False

    def encode(self) -> dict[str, Any]:
        """Write only what differs from the defaults: plain jobs cost nothing."""
        return {name: value for name, value in asdict(self).items() if value != getattr(PLAIN, name)}

    @classmethod
    def decode(cls, raw: Mapping[str, Any]) -> Self:
        """Read what `encode` wrote."""
        options = cls(**raw)
        return cls(OnLongText(options.on_long_text), options.sentences, options.explain)

    @property
    def detailed(self) -> bool:
        """Whether parts of a text are told of."""
        return self.sentences or self.explain

    def cost(self, chars: int) -> int:
        """How many code points the model reads, about, to answer for a text of so many."""
        clauses = min(MAX_CLAUSES, 1 + chars // _CLAUSE_CHARS)
        repeated = clauses * min(chars, _READ_CHARS) if self.explain else 0
        return chars * (2 if self.sentences else 1) + repeated


PLAIN = Options()
