"""Memory that the children of a worker hold once: weights, in the layout that an engine gives them.

Engines copy a pack's weights into a layout for their processor, so mapping the pack's file shares nothing.
Here the first child puts its copies into a file in memory, and every child maps that file privately over
copies equal to it. A page that somebody writes to afterwards becomes the writer's own: that makes it safe.
"""

import ctypes
import fcntl
import hashlib
import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# A block of this size or more is worth a mapping of its own; what engines keep beside weights is smaller.
LARGE = 256 * 1024

_PAGE = mmap.PAGESIZE
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# Where glibc's own adjustment ends: a block below it is reused instead of given back after every batch.
_THRESHOLD_LATER = 32 * 2**20
# Libraries of arithmetic align to 64 bytes. glibc then puts the header of a block of its own mapping right
# before its first byte: the bytes skipped, and the size of the rest with the bit that says so. Python aligns
# to 16 bytes, so none of its memory looks like that, and none is replaced under Python's hands.
_SKIPPED, _IS_MMAPPED, _WORD = 48, 2, 8
_MAP_FIXED = 0x10
# A word for each page of this process; the highest bit is set if the page is in memory.
_PAGEMAP = Path("/proc/self/pagemap")
_PRESENT = 1 << 63
_DIGEST = 32


@dataclass(frozen=True)
class Block:
    """`size` bytes at `address`, both in whole pages."""

    address: int
    size: int

    @property
    def content(self) -> ctypes.Array[ctypes.c_char]:
        """The bytes where they are."""
        return (ctypes.c_char * self.size).from_address(self.address)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the bytes."""
        return hashlib.sha256(self.content).digest()


class SharedBlocks:
    """A file in memory for the blocks of all children; made before they are forked."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        self._file = self._open()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Share the large blocks that are allocated inside and kept. Nobody may write to them at the end."""
        if self._file is None:  # Each child keeps its own.
            yield
            return
        self._libc.mallopt(_M_MMAP_THRESHOLD, LARGE)
        before = set(_blocks())
        yield
        self._libc.mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_LATER)
        self._libc.mallopt(_M_TRIM_THRESHOLD, 2 * _THRESHOLD_LATER)
        self._share(self._file, [block for block in _blocks() if block not in before])

    def _open(self) -> int | None:
        """The file, or None where memory is laid out otherwise or such files are forbidden."""
        if sys.platform != "linux" or not hasattr(self._libc, "mallopt") or not os.access(_PAGEMAP, os.R_OK):
            return None
        try:
            return os.memfd_create("sentiq-weights")
        except OSError:
            return None

    def _share(self, file: int, blocks: list[Block]) -> None:
        digests = [block.digest for block in blocks]
        fcntl.lockf(file, fcntl.LOCK_EX)
        try:
            if not _read_index(file):
                _publish(file, dict(zip(digests, blocks, strict=True)))
        finally:
            fcntl.lockf(file, fcntl.LOCK_UN)
        index = _read_index(file)
        for digest, block in zip(digests, blocks, strict=True):
            if digest in index:
                self._replace(block, file, index[digest])

    def _replace(self, block: Block, file: int, offset: int) -> None:
        access, flags = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | _MAP_FIXED
        got = self._libc.mmap(block.address, block.size, access, flags, file, offset)
        if got != block.address:
            raise OSError(ctypes.get_errno(), "cannot map the shared weights")


def _publish(file: int, blocks: dict[bytes, Block]) -> None:
    """Write each block behind a page that holds its digest and size."""
    offset = 0
    for digest, block in blocks.items():
        content = memoryview(block.content)
        written = 0
        while written < block.size:
            written += os.pwrite(file, content[written:], offset + _PAGE + written)
        # Last: where a child is killed before this, the index ends.
        os.pwrite(file, digest + block.size.to_bytes(_WORD, "little"), offset)
        offset += _PAGE + block.size


def _read_index(file: int) -> dict[bytes, int]:
    """Offsets of the published blocks by their digests."""
    index: dict[bytes, int] = {}
    offset = 0
    while size := int.from_bytes((head := os.pread(file, _DIGEST + _WORD, offset))[_DIGEST:], "little"):
        index[head[:_DIGEST]] = offset + _PAGE
        offset += _PAGE + size
    return index


def _blocks() -> Iterator[Block]:
    """Every large block of its own mapping that the C library gave this process, aligned as weights are."""
    import numpy as np  # noqa: PLC0415  the parent, which opens the file, starts without it

    for start, end in _writable_memory():
        pages = np.flatnonzero(np.frombuffer(_page_entries(start, end), np.uint64) >= _PRESENT)
        memory = memoryview((ctypes.c_char * (end - start)).from_address(start))
        headers = np.frombuffer(memory, np.uint64).reshape(-1, _PAGE // _WORD)[:, _SKIPPED // _WORD :]
        free = start
        for page in pages[headers[pages, 0] == _SKIPPED]:
            address = start + int(page) * _PAGE
            size = int(headers[page, 1]) - _IS_MMAPPED + _SKIPPED
            if address >= free and LARGE <= size <= end - address and size % _PAGE == 0:
                yield Block(address, size)
                free = address + size


def _page_entries(start: int, end: int) -> bytes:
    """Return a word for each page of a span; only a page that is in memory (`_PRESENT`) may be read.

    glibc 2.42 and newer guards the stacks of threads by pages inside of writable spans: reading one is fatal.
    """
    with _PAGEMAP.open("rb") as pagemap:
        pagemap.seek(start // _PAGE * _WORD)
        return pagemap.read((end - start) // _PAGE * _WORD)


def _writable_memory() -> Iterator[tuple[int, int]]:
    """Spans of memory of no file, neighbours joined: an engine that places pages has split its mappings."""
    start = last = 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, access, _, _, inode = line.split()[:5]
        if access != "rw-p" or inode != "0":
            continue
        address, end = (int(part, 16) for part in span.split("-"))
        if address != last:
            yield start, last
            start = address
        last = end
    yield start, last
