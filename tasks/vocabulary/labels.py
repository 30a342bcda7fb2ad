"""Labels: what a pack can answer, in the order of its logits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Self

from pydantic_core import from_json, to_json

MIN_LABELS, MAX_LABELS = 2, 64
MAX_NAME_CHARS = 64
MAX_EMOJI_CHARS = 16
LABEL_ID = re.compile(r"[a-z0-9_]{1,32}")

Polarity = Literal[-1, 0, 1]

NEUTRAL_FACE = "😐"
# Clients of old know these two faces, so a pack need not name them.
FACES = {"negative": "😠", "positive": "😊"}


@dataclass(frozen=True, slots=True)
class Label:
    """A label. Its `id` is stable; `polarity` is None where the label is neither good, bad nor between."""

    id: str
    label_zh: str
    label_en: str
    polarity: Polarity | None = None
    emoji: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError, naming the field and its limit, unless every field is as it should be."""
        if not (isinstance(self.id, str) and LABEL_ID.fullmatch(self.id)):
            raise ValueError(f"label id {self.id!r} is not 1 to 32 of a-z, 0-9 and _")
        for name, limit in (("label_zh", MAX_NAME_CHARS), ("label_en", MAX_NAME_CHARS)):
            _require_text(f"{name} of label {self.id}", getattr(self, name), limit)
        if self.emoji is not None:
            _require_text(f"emoji of label {self.id}", self.emoji, MAX_EMOJI_CHARS)
        if self.polarity is not None and (type(self.polarity) is not int or abs(self.polarity) > 1):
            raise ValueError(f"polarity of label {self.id} is {self.polarity!r}, expected -1, 0, 1 or null")

    @property
    def face(self) -> str:
        """Return an emoji for the label, a neutral face if it has none."""
        return self.emoji or FACES.get(self.id, NEUTRAL_FACE)


@dataclass(frozen=True)
class LabelSet:
    """The labels of a pack. A label's number is its place in the pack's logits."""

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        """Raise ValueError unless there are 2 to 64 labels with different ids."""
        if not MIN_LABELS <= len(self.labels) <= MAX_LABELS:
            raise ValueError(f"{len(self.labels)} labels, expected {MIN_LABELS} to {MAX_LABELS}")
        if len(set(self.ids)) < len(self.labels):
            raise ValueError("two labels have the same id")

    def __len__(self) -> int:
        """Return the number of labels."""
        return len(self.labels)

    def __iter__(self) -> Iterator[Label]:
        """Yield the labels in the order of their numbers."""
        return iter(self.labels)

    def __getitem__(self, number: int) -> Label:
        """Return the label with a number."""
        return self.labels[number]

    def number(self, label_id: str) -> int | None:
        """Return the number of the label with an id; None if there is none."""
        return self._numbers.get(label_id)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Return the ids in the order of their numbers."""
        return tuple(label.id for label in self.labels)

    @cached_property
    def polarities(self) -> tuple[Polarity, ...] | None:
        """Return the polarities in the order of their numbers; None unless every label has one."""
        known = tuple(label.polarity for label in self.labels if label.polarity is not None)
        return known if len(known) == len(self.labels) else None

    @property
    def scored(self) -> bool:
        """Return whether every label has a polarity, so that verdicts have a score."""
        return self.polarities is not None

    @cached_property
    def poles(self) -> tuple[Sequence[int], Sequence[int]] | None:
        """Return the numbers of the labels of lowest and of highest polarity.

        None unless every label has a polarity and they differ.
        """
        known = self.polarities
        if known is None or min(known) == max(known):
            return None
        lowest, highest = min(known), max(known)
        low = [number for number, each in enumerate(known) if each == lowest]
        return low, [number for number, each in enumerate(known) if each == highest]

    def score(self, probabilities: Mapping[int, float]) -> float | None:
        """Return the sum of polarity times probability; None unless every label has a polarity."""
        if self.polarities is None:
            return None
        return math.fsum(each * probabilities[number] for number, each in enumerate(self.polarities) if each)

    def described(self) -> list[dict[str, Any]]:
        """Return the labels as `pack.json` holds them."""
        return [asdict(label) for label in self.labels]

    @classmethod
    def read(cls, described: object) -> Self:
        """Return the labels of a list of objects, as in `pack.json`. Raises ValueError."""
        if not isinstance(described, Iterable) or isinstance(described, str | Mapping):
            raise ValueError("labels are not a list of objects")  # noqa: TRY004  one error for all that is wrong
        return cls(tuple(map(_read_label, described)))

    def encode(self) -> bytes:
        """Return the labels as JSON."""
        return to_json(self.described())

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read what `encode` wrote."""
        return cls.read(from_json(raw))

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        return {label.id: number for number, label in enumerate(self.labels)}


def _read_label(described: object) -> Label:
    if not isinstance(described, Mapping):
        raise ValueError(f"label {described!r:.40} is not an object")  # noqa: TRY004  as above
    try:
        return Label(**described)
    except TypeError as error:
        raise ValueError(f"label {described.get('id')!r:.40}: {error}") from None


def _require_text(what: str, value: object, limit: int) -> None:
    # Several emoji are joined into one by a character that has no width.
    if not (
        isinstance(value, str) and 1 <= len(value) <= limit and value.replace("\u200d", "").isprintable()
    ):
        raise ValueError(f"{what} is {value!r:.40}, expected 1 to {limit} printable characters")


NEGATIVE_POSITIVE = LabelSet(
    (Label("negative", "负面", "Negative", -1, "😠"), Label("positive", "正面", "Positive", 1, "😊"))
)
