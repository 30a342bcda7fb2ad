"""How many connections and held requests one API process can have, and how it returns memory."""

from __future__ import annotations

import contextlib
import ctypes
import resource

MAX_CONNECTIONS = 4000
# Files of the process itself: connections to Redis, log, listening socket, event loop, files that are served.
_OWN_FILES = 96
# Held requests leave a quarter of the connections to others, so that a probe is always answered.
_HELD_SHARE = 0.75
# glibc's names for what it maps one by one, and for what it returns from the end of its heap.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 128 * 1024


def raise_file_limit() -> None:
    """Raise the soft limit on open files to what all connections need, as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + _OWN_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def return_large_blocks() -> None:
    """Have memory of large bodies and answers return to the system when it is freed.

    glibc raises its limits after the first large block, and the small blocks of connections then hold a heap
    full of holes. Where the C library is another one, nothing changes.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)


def max_connections() -> int:
    """Return how many connections the limit on open files allows."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, soft - _OWN_FILES))


def open_requests(wanted: int) -> int:
    """Return how many requests one caller may have open: `wanted`, or half of the connections."""
    return min(wanted, max_connections() // 2)


def held_requests(wanted: int) -> int:
    """Return how many requests may wait or stream at once: `wanted`, or fewer where files are few."""
    return min(wanted, int(max_connections() * _HELD_SHARE))
