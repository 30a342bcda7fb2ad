"""Pauses: what an operator has paused, since when and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic_core import from_json

from tasks.vocabulary.jobs import Queue, QueueClass
from tasks.vocabulary.model_names import is_name

MAX_REASON_CHARS = 200


class PauseKind(StrEnum):
    """What can be paused: the work of a class, of a model, or of an owner."""

    CLASS = "class"
    MODEL = "model"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class PauseTarget:
    """What is paused: a class, a model or an owner, by its name. An owner without a name has no key."""

    kind: PauseKind
    name: str

    @classmethod
    def parse(cls, text: str) -> PauseTarget:
        """Read what `str` wrote. Raises ValueError for what cannot be paused."""
        kind, colon, name = text.partition(":")
        target = cls(PauseKind(kind), name)
        if not colon or not target._is_valid():
            raise ValueError(text)
        return target

    def holds(self, queue: Queue, owner: str) -> bool:
        """Return whether a pause of it holds up the work of an owner in a queue."""
        return (
            self.name
            == {
                PauseKind.CLASS: queue.queue_class,
                PauseKind.MODEL: queue.model,
                PauseKind.OWNER: owner,
            }[self.kind]
        )

    def __str__(self) -> str:
        """Write it as keys and calls name it."""
        return f"{self.kind}:{self.name}"

    def _is_valid(self) -> bool:
        if self.kind is PauseKind.CLASS:
            return self.name in [*QueueClass]
        if self.kind is PauseKind.MODEL:
            return is_name(self.name)
        return self.name == "" or (self.name.isascii() and self.name.isalnum())


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause: by whom, and why, if that was said."""

    target: PauseTarget
    since_ms: int
    by: str
    reason: str = ""

    @classmethod
    def decode(cls, target: bytes, raw: bytes) -> Pause:
        """Read what the script wrote."""
        fields = from_json(raw)
        return cls(
            PauseTarget.parse(target.decode()), int(fields["since"]), fields["by"], fields.get("reason", "")
        )
