"""A link with a delay: a proxy in a thread that holds each block of bytes back, in both directions.

It needs no rights, as a network namespace (local/wires.py) does.
A delay does not bound the rate: blocks are in flight together, in their order.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_BLOCK = 65_536


@contextmanager
def slow_link(port: int, delay_s: float) -> Iterator[int]:
    """Yield a port of 127.0.0.1 that leads to a port of this machine, `delay_s` away each way."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="slow-link", daemon=True)
    thread.start()
    link = _Link(port, delay_s)
    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(link.join, "127.0.0.1", 0), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


class _Link:
    def __init__(self, port: int, delay_s: float) -> None:
        self._port, self._delay_s = port, delay_s

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a caller with the other end until one of them closes."""
        try:
            there = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._carry(reader, there[1]), self._carry(there[0], writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                block = await reader.read(_BLOCK)
            except ConnectionError:
                block = b""
            # Calls of equal times may run in any order: each is due a little later than the one before.
            due = max(due + 1e-6, loop.time() + self._delay_s)
            if not block:
                loop.call_at(due, writer.close)
                return
            loop.call_at(due, _write, writer, block)


def _write(writer: asyncio.StreamWriter, block: bytes) -> None:
    if not writer.is_closing():
        writer.write(block)
