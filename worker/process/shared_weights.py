"""Share the weights of a worker's children in memory; off unless `SENTIMENT_SHARED_WEIGHTS` is set.

Engines copy a pack's weights into a layout for their processor, so mapping the pack's file shares nothing.
Here the first child writes its copies to a file in memory, and each child maps that file over its own equal
copies. The mappings are private: a page that a process writes to becomes its own copy, so no child can change
what another reads.

The large blocks are found by the headers that glibc's malloc writes before them. That layout is no public
interface, which is the risk of the setting. Without Linux, glibc or memfd each child keeps private copies.
"""

from __future__ import annotations

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

# Blocks of at least this size are shared. What engines allocate beside weights is smaller.
MIN_BLOCK_BYTES = 256 * 1024

_PAGE = mmap.PAGESIZE
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# The upper end of glibc's own adjustment: smaller blocks are reused instead of returned after every batch.
_MMAP_THRESHOLD_AFTERWARDS = 32 * 2**20
# Numerical libraries align to 64 bytes. In a block with a mapping of its own, glibc then skips 48 bytes and
# writes a header right before the data: the bytes skipped, and the size of the rest with the IS_MMAPPED bit.
# Python aligns to 16 bytes, so none of its blocks has such a header, and none is replaced.
_SKIPPED, _IS_MMAPPED, _WORD = 48, 2, 8
# glibc 2.43 and newer counts the last 16 bytes of a mapping out of its block.
_UNCOUNTED = (0, 16)
_MAP_FIXED = 0x10
# A word for each page of this process; the highest bit is set if the page is in memory.
_PAGEMAP = Path("/proc/self/pagemap")
_PRESENT = 1 << 63
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Block:
    """`size` bytes at `address`, both multiples of the page size."""

    address: int
    size: int

    @property
    def content(self) -> ctypes.Array[ctypes.c_char]:
        """Return the bytes in place, without a copy."""
        return (ctypes.c_char * self.size).from_address(self.address)

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of the bytes."""
        return hashlib.sha256(self.content).digest()


class SharedBlocks:
    """A file in memory with the blocks of all children. Create it before the children are forked."""

    def __init__(self, *, enabled: bool) -> None:
        """Open the file, unless sharing is not `enabled` or not possible on this machine."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        self._file = self._open() if enabled else None

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Share the large blocks that are allocated inside and still exist at the end.

        No other thread may write to them when the context ends. Raises OSError when a mapping fails.
        """
        if self._file is None:
            yield
            return
        self._libc.mallopt(_M_MMAP_THRESHOLD, MIN_BLOCK_BYTES)
        before = set(_blocks())
        yield
        self._libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_AFTERWARDS)
        self._libc.mallopt(_M_TRIM_THRESHOLD, 2 * _MMAP_THRESHOLD_AFTERWARDS)
        self._share(self._file, [block for block in _blocks() if block not in before])

    def _open(self) -> int | None:
        """Return the file, or None where glibc, such files or the page map are not there."""
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
        address = self._libc.mmap(block.address, block.size, access, flags, file, offset)
        if address != block.address:
            raise OSError(ctypes.get_errno(), "cannot map the shared weights")


def _publish(file: int, blocks: dict[bytes, Block]) -> None:
    """Write each block after a page with its digest and size."""
    offset = 0
    for digest, block in blocks.items():
        content = memoryview(block.content)
        written = 0
        while written < block.size:
            written += os.pwrite(file, content[written:], offset + _PAGE + written)
        # Written last: if a child is killed before this line, the index ends at the previous block.
        os.pwrite(file, digest + block.size.to_bytes(_WORD, "little"), offset)
        offset += _PAGE + block.size


def _read_index(file: int) -> dict[bytes, int]:
    """Return the offsets of the published blocks by digest."""
    index: dict[bytes, int] = {}
    offset = 0
    while size := int.from_bytes(
        (head := os.pread(file, _DIGEST_BYTES + _WORD, offset))[_DIGEST_BYTES:], "little"
    ):
        index[head[:_DIGEST_BYTES]] = offset + _PAGE
        offset += _PAGE + size
    return index


def _blocks() -> Iterator[Block]:
    """Yield every large block of this process that has a mapping of its own and the alignment of weights."""
    import numpy as np  # noqa: PLC0415  the parent, which opens the file, starts without it

    for start, end in _writable_memory():
        pages = np.flatnonzero(np.frombuffer(_page_entries(start, end), np.uint64) >= _PRESENT)
        memory = memoryview((ctypes.c_char * (end - start)).from_address(start))
        headers = np.frombuffer(memory, np.uint64).reshape(-1, _PAGE // _WORD)[:, _SKIPPED // _WORD :]
        free = start
        for page in pages[headers[pages, 0] == _SKIPPED]:
            address = start + int(page) * _PAGE
            counted = int(headers[page, 1]) - _IS_MMAPPED + _SKIPPED
            size = counted + -counted % _PAGE
            if address >= free and MIN_BLOCK_BYTES <= size <= end - address and size - counted in _UNCOUNTED:
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
    """Yield [start, end) of the writable anonymous memory, with neighbouring mappings joined.

    An engine that binds pages to memory nodes splits its mappings.
    """
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
