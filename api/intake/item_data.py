"""The `data` of items: taken out of JSON as the bytes that came, before anything is built from them.

An object is replaced by an empty one of the same length. The model refuses what is left in place.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping

from pydantic_core import from_json

from api.intake.documents import with_whole_characters
from api.waiting.pacing import let_others_run
from tasks.vocabulary.attachments import MAX_DATA_BYTES

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SPACE = re.compile(rb"[ \t\r\n]*+")
_NAME = re.compile(rb"[ \t\r\n]*+(%s)[ \t\r\n]*+:[ \t\r\n]*+" % _STRING, re.DOTALL)
_COMMA = re.compile(rb"[ \t\r\n]*+,[ \t\r\n]*+")
# A value without another one inside, except for strings and numbers.
_FLAT = re.compile(
    rb'%s|[\[{][^"\[\]{}]*+(?:%s[^"\[\]{}]*+)*+[\]}]|[^\s"\[\]{},]++' % (_STRING, _STRING), re.DOTALL
)
# What nests, or a string as a whole, even one without an end.
_NESTING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_ESCAPE = re.compile(rb"\\u00([0-9a-fA-F]{2})")
# A value of more is too long for what an item may hold.
_MOST_TOKENS = 2 * MAX_DATA_BYTES

Visit = Callable[[bytes, int], int | None]


def take_data_of_line(line: bytes) -> tuple[bytes, bytes | None]:
    """Return an item without its `data`, and the `data`, if any."""
    if not line.startswith(b"{") or not _may_have_data(line):
        return line, None
    taking = _Taking(line)
    taking.item(0, 0)
    return bytes(taking.body), taking.data.get(0)


def take_data(body: bytes, max_items: int) -> tuple[bytes, Mapping[int, bytes]]:
    """Return a document without the `data` of its `items`, and that of each item, by index.

    No more than `max_items` items are looked at. Other requests run between items.
    """
    if not _may_have_data(body):
        return body, {}
    taking = _Taking(body.removeprefix(codecs.BOM_UTF8))
    taking.document(max_items)
    return bytes(taking.body), taking.data


class _Taking:
    """One text of JSON, and the `data` that was taken out of it.

    Each method returns the end of the value that begins at `at`, or None where nothing further can be taken.
    """

    def __init__(self, body: bytes) -> None:
        self.body = bytearray(body)
        self.data: dict[int, bytes] = {}

    def document(self, max_items: int) -> None:
        """Take the data of the members of `items`; of several lists of that name the last counts."""

        def member(name: bytes, at: int) -> int | None:
            if name == b"items":
                self.data.clear()
            is_list = name == b"items" and self.body.startswith(b"[", at)
            return self._items(at, max_items) if is_list else self._end(at)

        self._object(_SPACE.match(self.body).end(), member)  # type: ignore[union-attr]  # it always matches

    def item(self, at: int, index: int) -> int | None:
        """Take the data of an item; of several members of that name the last counts, as in any JSON."""

        def member(name: bytes, at: int) -> int | None:
            end = self._end(at)
            if name == b"data" and end is not None:
                self.data.pop(index, None)
                self._take(at, end, index)
            return end

        return self._object(at, member)

    def _items(self, at: int, max_items: int) -> int | None:
        at = _SPACE.match(self.body, at + 1).end()  # type: ignore[union-attr]  # it always matches
        for index in range(max_items):
            let_others_run()
            end = self.item(at, index) if self.body.startswith(b"{", at) else self._end(at)
            comma = end and _COMMA.match(self.body, end)
            if not comma:
                return self._closed(end, b"]")
            at = comma.end()
        return None

    def _object(self, at: int, visit: Visit) -> int | None:
        """Visit the name and the value of each member."""
        end: int | None = at + 1
        while end and (name := _NAME.match(self.body, end)):
            end = visit(_ESCAPE.sub(_unescaped, name[1][1:-1]), name.end())
            comma = end and _COMMA.match(self.body, end)
            if not comma:
                break
            end = comma.end()
        return self._closed(end, b"}")

    def _closed(self, at: int | None, bracket: bytes) -> int | None:
        at = at and _SPACE.match(self.body, at).end()  # type: ignore[union-attr]  # it always matches
        return at + 1 if at and self.body.startswith(bracket, at) else None

    def _end(self, at: int) -> int | None:
        if flat := _FLAT.match(self.body, at):
            return flat.end()
        depth = 0
        for number, token in enumerate(_NESTING.finditer(self.body, at)):
            depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token[0], 0)
            if depth == 0 or number == _MOST_TOKENS:
                return token.end() if depth == 0 else None
        return None

    def _take(self, at: int, end: int, index: int) -> None:
        if not self.body.startswith(b"{", at) or end - at > MAX_DATA_BYTES:
            return
        data = with_whole_characters(bytes(self.body[at:end]))
        try:
            from_json(data, allow_inf_nan=False)
        except ValueError:
            return
        self.data[index] = data
        self.body[at + 1 : end - 1] = b" " * (end - at - 2)


def _may_have_data(text: bytes) -> bool:
    """Return whether a name may be `data`, perhaps with escapes: an expression would take far longer."""
    return b'"data"' in text or rb"\u00" in text


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escape[1].decode())
