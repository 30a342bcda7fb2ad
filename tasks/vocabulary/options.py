"""What a job asks of its texts beyond the plain verdict, and what that costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self
from unicodedata import normalize

# Most sentences and clauses of a text: those beyond are joined with their neighbours.
MAX_SENTENCES = 128
MAX_CLAUSES = 32

# Tokens that a pack reads at once, at most, while no worker has reported its own number.
DEFAULT_MAX_TOKENS = 512

# Each sentence and clause that `worker.scoring.segmentation` finds ends with one of these, but for the last.
_ENDS = re.compile(r"[。！？；…⋯!?;.，、：,:\s]")
# [CLS] and [SEP]; and what they and padding cost a further row of a text.
_SPECIAL, _ROW_COST = 2, 16
# [CLS] and two of [SEP] in a row of an aspect and a text.
PAIR_SPECIAL = 3
# Neighbouring windows overlap: the end of a clause lies in at most this many.
_WINDOWS_AT_A_POINT = 3
# Most aspects of a text, and the longest.
MAX_ASPECTS = 16
MAX_ASPECT_CHARS = 64
# Code points that are tokenised in the time in which the model reads one.
_TOKENISED_PER_READ = 32


class OnLongText(StrEnum):
    """How a text is read that has more tokens than the pack reads at once."""

    TRUNCATE = "truncate"  # only the beginning, and the verdict says so
    WINDOW = "window"  # all of it, in windows that overlap
    REJECT = "reject"  # not at all: it fails as text_too_long


class Probabilities(StrEnum):
    """Which probabilities a verdict names."""

    ALL = "all"
    TOP3 = "top3"  # the three highest
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a job, the same for all of its texts."""

    on_long_text: OnLongText = OnLongText.TRUNCATE
    sentences: bool = False
    explain: bool = False
    # None: all up to 8 labels, else the three highest; see `Verdict.keep`.
    probabilities: Probabilities | None = None
    aspects: tuple[str, ...] = ()

    def encode(self) -> dict[str, Any]:
        """Return only what differs from the defaults, so that plain jobs cost nothing."""
        return {name: value for name, value in asdict(self).items() if value != getattr(PLAIN, name)}

    @classmethod
    def decode(cls, raw: Mapping[str, Any]) -> Self:
        """Read what `encode` wrote."""
        read = {name: _KINDS[name](value) for name, value in raw.items()}
        return cls(**read)

    def with_aspects(self, aspects: tuple[str, ...]) -> Self:
        """Return the options of an item with aspects of its own, if it has any."""
        return replace(self, aspects=aspects) if aspects else self

    @property
    def detailed(self) -> bool:
        """Return whether verdicts cover parts of the text too."""
        return self.sentences or self.explain

    def cost(self, text: str, max_tokens: int = DEFAULT_MAX_TOKENS) -> int:
        """Return an upper bound of the code points that the model reads of a text, before it is tokenised.

        `max_tokens` is what the pack reads at once. A text that is not scored costs 1: it is recorded and
        answered like others.
        """
        # The tokenizer decomposes characters; then each token has at least one code point.
        chars, size = len(normalize("NFD", text)), max_tokens - _SPECIAL
        if self.aspects:
            return self._cost_of_pairs(chars, max_tokens)
        if chars <= size and not self.detailed:
            return max(1, chars)
        row, windows = min(chars, size), self._windows(chars, size)
        cost = max(1, windows * row) + max(0, chars - size) // _TOKENISED_PER_READ
        parts = 1 + len(_ENDS.findall(text)) if self.detailed else 0
        if self.sentences:
            # Windows overlap: those of one sentence have at most twice its tokens.
            cost += chars * min(windows, 2) + min(parts, MAX_SENTENCES) * _ROW_COST
        if self.explain:
            clauses = min(parts, MAX_CLAUSES)
            masked = min(windows * clauses, windows + _WINDOWS_AT_A_POINT * clauses)
            cost += masked * (row + _ROW_COST)
        return cost

    def _cost_of_pairs(self, chars: int, max_tokens: int) -> int:
        """Return an upper bound for a text with each of its aspects, which every window repeats."""
        cost = chars // _TOKENISED_PER_READ
        for aspect in self.aspects:
            head = min(len(normalize("NFD", aspect)), aspect_room(max_tokens))
            size = max_tokens - PAIR_SPECIAL - head
            cost += self._windows(chars, size) * (head + min(chars, size))
        return max(1, cost)

    def _windows(self, chars: int, size: int) -> int:
        """Return in how many windows of `size` tokens `worker.scoring.windows` reads a text, at most."""
        if self.on_long_text is not OnLongText.WINDOW or chars <= size:
            return 1
        return 1 - (size - chars) // max(1, size * 3 // 4)


def aspect_room(max_tokens: int) -> int:
    """Return how many tokens of an aspect a pack reads: at least as many remain for the text."""
    return max(1, (max_tokens - PAIR_SPECIAL) // 2)


_KINDS: Mapping[str, Callable[[Any], Any]] = {
    "on_long_text": OnLongText,
    "sentences": bool,
    "explain": bool,
    "probabilities": Probabilities,
    "aspects": tuple,
}
PLAIN = Options()
