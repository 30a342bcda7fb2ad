"""Bodies of uploads, which can begin again where they were cut."""

from __future__ import annotations

import gzip
import tempfile
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, Protocol

from sentiq.packing import Blocks, line_of, packed

_IN_MEMORY = 4 * 1024 * 1024


class UploadBody(Protocol):
    """A body that is sent in blocks of gzip. `failure` is what the caller's own iterable raised."""

    failure: BaseException | None

    def blocks(self) -> Iterator[bytes]:
        """Yield the body from where it begins now."""

    def ablocks(self) -> AsyncIterator[bytes]:
        """Yield the same to a caller that awaits."""


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
        self._gathered = Blocks()
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
        gathered, self.begun = Blocks(), True
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
        gathered, self.begun = Blocks(), True
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
