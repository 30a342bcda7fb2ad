"""One text and its outcome."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from tasks.vocabulary.options import MAX_ASPECT_CHARS, MAX_ASPECTS
from tasks.vocabulary.verdicts import AspectVerdicts, Scored, TooManyTokens, Verdict

_LETTER = re.compile(r"[^\W_]")


class ItemStatus(StrEnum):
    """How an item ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timed_out"


class ItemError(StrEnum):
    """Why an item has no verdict. The codes are public and stable."""

    EMPTY_TEXT = "empty_text"
    TEXT_TOO_LONG = "text_too_long"
    # Of a line of an upload:
    LINE_TOO_LONG = "line_too_long"
    INVALID_ENCODING = "invalid_encoding"  # not in the charset of the upload
    INVALID_JSON = "invalid_json"
    INVALID_LINE = "invalid_line"  # neither a string nor an object
    INVALID_TEXT = "invalid_text"  # no `text`, or no string
    INVALID_ID = "invalid_id"
    INVALID_DATA = "invalid_data"
    INVALID_ASPECTS = "invalid_aspects"
    UNKNOWN_FIELD = "unknown_field"
    # Of aspects and models that do not go together:
    ASPECTS_REQUIRED = "aspects_required"
    ASPECTS_UNSUPPORTED = "aspects_unsupported"
    INVALID_ROW = "invalid_row"  # other cells than the header has, text behind a quote, or a CR alone
    INFERENCE_FAILED = "inference_failed"
    WORKER_LOST = "worker_lost"  # its child died at each attempt
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"  # its last child lived on, but did not answer in time
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CANCELED = "canceled"

    @property
    def retryable(self) -> bool:
        """Return whether a retry could end otherwise; the text is kept for one."""
        return self in _RETRYABLE

    @property
    def status(self) -> ItemStatus:
        """Return the status of an item with this error."""
        return _STATUS_OF_ERROR.get(self, ItemStatus.FAILED)

    @property
    def message(self) -> str:
        """Return the error in a sentence, for people."""
        return _MESSAGES[self]


_RETRYABLE = (
    ItemError.INFERENCE_FAILED,
    ItemError.WORKER_LOST,
    ItemError.ATTEMPTS_EXHAUSTED,
    ItemError.DEADLINE_EXCEEDED,
)
_STATUS_OF_ERROR = {
    ItemError.DEADLINE_EXCEEDED: ItemStatus.TIMED_OUT,
    ItemError.CANCELED: ItemStatus.CANCELED,
}
_MESSAGES = {
    ItemError.EMPTY_TEXT: "The text is empty, or has no character that can be read.",
    ItemError.TEXT_TOO_LONG: "The text is longer than the service accepts.",
    ItemError.LINE_TOO_LONG: "The line is longer than the service accepts.",
    ItemError.INVALID_ENCODING: "The line is not UTF-8, or not in the charset of the upload.",
    ItemError.INVALID_JSON: "The line is not valid JSON.",
    ItemError.INVALID_LINE: "The line is neither a JSON string nor an object with a `text`.",
    ItemError.INVALID_TEXT: "The line has no `text`, or its `text` is not a string.",
    ItemError.INVALID_ID: "The `id` of the line is not a string of 1 to 256 characters.",
    ItemError.INVALID_DATA: "The `data` of the line is not a JSON object of at most 2,048 bytes.",
    ItemError.UNKNOWN_FIELD: "The line has a field other than `text`, `id`, `data` and `aspects`.",
    ItemError.INVALID_ROW: "The row has more or fewer cells than the header, text behind a closing quote, "
    "or a CR alone outside of quotes.",
    ItemError.INVALID_ASPECTS: f"The `aspects` are not 1 to {MAX_ASPECTS} different texts of 1 to "
    f"{MAX_ASPECT_CHARS} characters, or the job asks for `sentences` or `explain`.",
    ItemError.ASPECTS_REQUIRED: "The model reads a text together with `aspects`, and none were given.",
    ItemError.ASPECTS_UNSUPPORTED: "The model reads no `aspects`.",
    ItemError.INFERENCE_FAILED: "The model could not score this text.",
    ItemError.WORKER_LOST: "The worker died each time it tried this text.",
    ItemError.ATTEMPTS_EXHAUSTED: "No attempt at this text came to an end in time.",
    ItemError.DEADLINE_EXCEEDED: "The job's deadline passed before this text was scored.",
    ItemError.CANCELED: "The job was canceled before this text was scored.",
}


def is_readable(text: str) -> bool:
    """Return whether a pack reads anything of a text: tokenizers drop controls, lone accents and U+FFFD."""
    # Nearly every text has a letter or digit. Of the others each character is looked at once.
    return _LETTER.search(text) is not None or any(map(_is_read, set(text)))


def _is_read(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] not in "CZ" and category != "Mn" and char != "\ufffd"


class Item(NamedTuple):
    """One text as submitted. When it cannot be scored, `error` says why and `text` is empty.

    `data` is the caller's own JSON object, as the bytes that came. `group` is the number of its value in the
    field that the job is summarised by; 0 is that of all others. `source_index` is the index of the item in
    the job that is retried or compared, `line` where a row begins that cannot be scored, in the upload.
    `aspects` are those of the item alone, in place of the job's.

    A tuple, because the largest job has a million of them.
    """

    text: str
    chars: int
    id: str | None = None
    error: ItemError | None = None
    data: bytes | None = None
    group: int = 0
    source_index: int | None = None
    line: int | None = None
    aspects: tuple[str, ...] = ()

    @classmethod
    def accept(
        cls, text: str, max_chars: int, caller_id: str | None = None, data: bytes | None = None
    ) -> Item:
        """Return the item for a text; one that cannot be scored keeps its length and the reason."""
        if len(text) > max_chars:
            return cls("", len(text), caller_id, ItemError.TEXT_TOO_LONG, data)
        if not is_readable(text):
            return cls("", len(text), caller_id, ItemError.EMPTY_TEXT, data)
        return cls(text, len(text), caller_id, None, data)

    @property
    def held_bytes(self) -> int:
        """Return about what the item takes in memory; most texts are of characters of two bytes."""
        return 2 * len(self.text) + len(self.id or "") + len(self.data or b"")


Outcome = Verdict | AspectVerdicts | TooManyTokens | ItemError


@dataclass(frozen=True, slots=True)
class ItemResult:
    """One item with its outcome, as the store keeps it. `model` (`id@revision`) gave the verdict, if any.

    `data` is what the caller gave with the item, `text` is there if the job keeps texts. `source_index` is
    the index in the job that is retried or compared, `line` where a row begins that could not be scored.
    """

    index: int
    id: str | None
    chars: int
    attempts: int
    outcome: Outcome
    model: str | None = None
    data: bytes | None = None
    text: str | None = None
    source_index: int | None = None
    line: int | None = None

    @property
    def status(self) -> ItemStatus:
        """Return how the item ended."""
        if isinstance(self.outcome, Scored):
            return ItemStatus.SUCCEEDED
        return self.outcome.status if isinstance(self.outcome, ItemError) else ItemStatus.FAILED
