"""Bodies of uploads: items become lines, lines become blocks of gzip, and a cut upload begins again."""

from __future__ import annotations

import gzip
import json
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, Protocol

from sentiq.models import Item

_BLOCK_BYTES = 65536
# Items of a slow source are sent after that time, before the service takes silence for the end.
_MAX_DELAY_S = 5.0
# A service refuses what grows to more than 100 times its size.
_MAX_RATIO = 50
_IN_MEMORY = 4 * 1024 * 1024

Texts = Iterable["str | Item"]
AsyncTexts = AsyncIterable["str | Item"]


class UploadBody(Protocol):
    """A body that is sent in blocks of gzip. `failure` is what the caller's own iterable raised."""

    failure: BaseException | None

    def blocks(self) -> Iterator[bytes]:
        """Yield the body from where it begins now."""

    def ablocks(self) -> AsyncIterator[bytes]:
        """Yield the same to a caller that awaits."""


def packed(plain: bytes) -> bytes:
    """Return a block as a member of gzip, which is not compressed where a service would not take it."""
    member = gzip.compress(plain, 1, mtime=0)
    return member if len(member) * _MAX_RATIO > len(plain) else gzip.compress(plain, 0, mtime=0)


def line_of(item: str | Item) -> bytes:
    """Return an item as a line of NDJSON. Raises TypeError if it is neither a text nor an Item."""
    return _json(item if isinstance(item, str) else item_body(item))


def item_body(item: str | Item) -> dict[str, Any]:
    """Return an item as a member of a request. Raises TypeError if it is neither a text nor an Item."""
    if isinstance(item, str):
        return {"text": item}
    if not isinstance(item, Item):
        raise TypeError(f"submit str or sentiq.Item, not {type(item).__name__}")
    body = {"text": item.text, "id": item.id, "data": item.data, "aspects": item.aspects}
    return {name: value for name, value in body.items() if value is not None}


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"


class _Blocks:
    """Gathers bytes to blocks."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._size = 0
        self._since = 0.0

    def add(self, piece: bytes) -> bool:
        """Add a piece; return whether the block is due."""
        if not self.pieces:
            self._since = time.monotonic()
        self.pieces.append(piece)
        self._size += len(piece)
        return self._size >= _BLOCK_BYTES or time.monotonic() - self._since > _MAX_DELAY_S

    def take(self) -> bytes:
        """Return the pieces as one block, and begin another."""
        block, self.pieces, self._size = b"".join(self.pieces), [], 0
        return block


class Lines:
    """Items as lines. What was sent is kept in a file, compressed, so that it can be sent again."""

    def __init__(self, source: Iterable[Any] | AsyncIterable[Any], first: Sequence[Any] = ()) -> None:
        """Read the source as it is sent, once, behind the `first` items."""
        self.failure: BaseException | None = None
        self.read = 0  # items of the source so far
        self.exhausted = False
        self._source = source
        self._first = deque(first)
        self._iterator: Iterator[Any] | None = None
        self._aiterator: AsyncIterator[Any] | None = None
        self._gathered = _Blocks()
        self._kept = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  as long as the upload
        self._ends: list[tuple[int, int]] = []  # of each kept block: items and bytes up to its end
        self._start = 0

    def close(self) -> None:
        """Forget what was kept."""
        self._kept.close()

    def begin_at(self, index: int) -> None:
        """Let the body begin with the item of that index."""
        self._start = index

    def blocks(self) -> Iterator[bytes]:
        """Yield the body from `begin_at` on."""
        yield from self._kept_blocks()
        try:
            yield from self._first_blocks()
            self._iterator = self._iterator or iter(self._source)  # type: ignore[arg-type]
            for item in self._iterator:
                if self._gathered.add(self._line(item)):
                    yield self._keep()
        except Exception as error:
            self.failure = error
            raise
        self.exhausted = True
        if self._gathered.pieces:
            yield self._keep()

    async def ablocks(self) -> AsyncIterator[bytes]:
        """Yield the same from a source that may be asynchronous."""
        for block in self._kept_blocks():
            yield block
        try:
            for block in self._first_blocks():
                yield block
            self._aiterator = self._aiterator or aiter_of(self._source)
            async for item in self._aiterator:
                if self._gathered.add(self._line(item)):
                    yield self._keep()
        except Exception as error:
            self.failure = error
            raise
        self.exhausted = True
        if self._gathered.pieces:
            yield self._keep()

    def _first_blocks(self) -> Iterator[bytes]:
        while self._first:
            if self._gathered.add(self._line(self._first.popleft())):
                yield self._keep()

    def _line(self, item: Any) -> bytes:
        line = line_of(item)
        self.read += 1
        return line

    def _keep(self) -> bytes:
        block = packed(self._gathered.take())
        self._kept.seek(0, 2)
        self._kept.write(block)
        self._ends.append((self.read, self._kept.tell()))
        return block

    def _kept_blocks(self) -> Iterator[bytes]:
        """Yield what was sent before, without the items that are recorded."""
        items, offset = 0, 0
        for until, end in list(self._ends):
            if until > self._start:
                self._kept.seek(offset)
                block = self._kept.read(end - offset)
                yield _without(block, self._start - items) if self._start > items else block
            items, offset = until, end


def _without(block: bytes, lines: int) -> bytes:
    return packed(b"".join(gzip.decompress(block).splitlines(keepends=True)[lines:]))


class Chunks:
    """Bytes of the caller. They can be sent again if the iterable begins anew each time."""

    def __init__(self, chunks: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> None:
        """Take the bytes as they are."""
        self.failure: BaseException | None = None
        self.begun = False
        self._source: Any = [chunks] if isinstance(chunks, bytes) else chunks

    @property
    def repeatable(self) -> bool:
        """Whether another attempt would send the same."""
        return not self.begun or not hasattr(self._source, "__next__" if self._blocking else "__anext__")

    @property
    def _blocking(self) -> bool:
        return hasattr(self._source, "__iter__")

    def blocks(self) -> Iterator[bytes]:
        """Yield the body from its beginning."""
        gathered, self.begun = _Blocks(), True
        try:
            for chunk in self._source:
                if gathered.add(chunk):
                    yield packed(gathered.take())
        except Exception as error:
            self.failure = error
            raise
        if gathered.pieces:
            yield packed(gathered.take())

    async def ablocks(self) -> AsyncIterator[bytes]:
        """Yield the same to a caller that awaits."""
        gathered, self.begun = _Blocks(), True
        try:
            async for chunk in aiter_of(self._source):
                if gathered.add(chunk):
                    yield packed(gathered.take())
        except Exception as error:
            self.failure = error
            raise
        if gathered.pieces:
            yield packed(gathered.take())


def aiter_of(source: Any) -> AsyncIterator[Any]:
    """Return an asynchronous iterator over an iterable of either kind."""
    if hasattr(source, "__aiter__"):
        return source.__aiter__()  # type: ignore[no-any-return]
    return _awaited(iter(source))


async def _awaited(source: Iterator[Any]) -> AsyncIterator[Any]:
    for each in source:
        yield each
