"""A TCP proxy that breaks links: between a role and Redis, or anywhere else."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

_BLOCK_BYTES = 65536
_POLL_S = 0.01
_TRICKLE_BYTES, _TRICKLE_S = 512, 0.005
# A socket closed with this option sends a reset in place of what it still holds.
_LINGER_NOT = struct.pack("ii", 1, 0)


class _Pace:
    """How fast blocks pass, and the answers that get lost."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.trickles = False
        self.lost: list[str] = []
        self._marks: dict[str, bytes] = {}
        self._armed: dict[str, bytes] = {}

    def arm(self, marks: Mapping[str, bytes]) -> None:
        self._marks, self._armed, self.lost = dict(marks), dict(marks), []

    def arm_nothing(self) -> None:
        self._marks, self._armed = {}, {}

    def loses(self, request: bytes) -> str:
        """Return the name of an armed mark in a request, once each; empty if there is none."""
        name = next((name for name, mark in self._armed.items() if mark in request), "")
        self._armed.pop(name, None)
        return name

    def unused(self, name: str) -> None:
        if name in self._marks:
            self._armed[name] = self._marks[name]

    async def write(self, block: bytes, sink: asyncio.StreamWriter) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        size = _TRICKLE_BYTES if self.trickles else len(block)
        for start in range(0, len(block), size):
            sink.write(block[start : start + size])
            await sink.drain()
            if self.trickles:
                await asyncio.sleep(_TRICKLE_S)


class _Flow:
    """One connection through the proxy, with one socket on each side."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter, pace: _Pace) -> None:
        self.passes = asyncio.Event()
        self.passes.set()
        self._sides = (near, far)
        self._pace = pace
        self._loses = ""  # the name of a request whose answer gets lost
        self.passed_at = time.monotonic()

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        """Copy one direction until it ends. Nothing gets through, the end neither, until the flow passes."""
        with suppress(OSError):
            while block := await source.read(_BLOCK_BYTES):
                await self.passes.wait()
                self.passed_at = time.monotonic()
                if self._is_lost(block, answers=answers):
                    return
                await self._pace.write(block, sink)
        await self.passes.wait()
        sink.close()

    def _is_lost(self, block: bytes, *, answers: bool) -> bool:
        """Reset the flow in place of an answer that is to get lost; an error is no answer."""
        if not answers:
            self._loses = self._pace.loses(block) or self._loses
            return False
        name, self._loses = self._loses, ""
        if not name or block.startswith(b"-"):
            self._pace.unused(name)
            return False
        self._pace.lost.append(name)
        self.reset()
        return True

    def reset(self) -> None:
        self.passes.set()
        for side in self._sides:
            if opened := side.get_extra_info("socket"):
                with suppress(OSError):
                    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            side.transport.abort()


class Proxy:
    """Forwards connections to a server. Each method may be called by any thread, and has acted on return.

    `reset` ends what is open. `half_open` kills what is open without a word to either side; new connections
    live. `forget_idle` kills so what was silent for a time, as a router does. `blackhole` holds back what is
    open and what is new. `refuse` resets both. `slow` delays each block, `trickle` cuts blocks into small
    ones. `lose_answers` resets a connection in place of the answer to the first request that holds a mark,
    once for each mark; `lost` are the names of those that were met. `mend` ends all but what was killed,
    which stays dead.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self._server = (host, port)
        self._flows: set[_Flow] = set()
        self._killed: set[_Flow] = set()
        self._holds = self._refuses = False
        self._pace = _Pace()
        self._loop = asyncio.new_event_loop()

    @property
    def lost(self) -> list[str]:
        return self._pace.lost

    def reset(self) -> None:
        self._call(self._reset)

    def half_open(self) -> None:
        self._call(self._half_open)

    def forget_idle(self, idle_s: float) -> None:
        self._call(lambda: self._half_open(idle_s))

    @property
    def living(self) -> int:
        """Return how many connections are open and were not killed."""
        return len(self._flows - self._killed)

    def blackhole(self) -> None:
        self._call(self._blackhole)

    def refuse(self) -> None:
        self._call(self._refuse)

    def slow(self, delay_s: float = 0.1) -> None:
        self._pace.delay_s = delay_s

    def trickle(self) -> None:
        self._pace.trickles = True

    def lose_answers(self, marks: Mapping[str, bytes]) -> None:
        self._call(lambda: self._pace.arm(marks))

    def mend(self) -> None:
        self._call(self._mend)

    def _reset(self) -> None:
        for flow in list(self._flows):
            flow.reset()

    def _half_open(self, idle_s: float = 0) -> None:
        silent_since = time.monotonic() - idle_s
        silent = {flow for flow in self._flows if flow.passed_at <= silent_since}
        for flow in silent:
            flow.passes.clear()
        self._killed |= silent

    def _blackhole(self) -> None:
        self._holds = True
        for flow in self._flows:
            flow.passes.clear()

    def _refuse(self) -> None:
        self._refuses = True
        self._reset()

    def _mend(self) -> None:
        self._holds = self._refuses = self._pace.trickles = False
        self._pace.delay_s = 0.0
        self._pace.arm_nothing()
        for flow in self._flows - self._killed:
            flow.passes.set()

    def _call(self, action: Callable[[], None]) -> None:
        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._server)
        except OSError:
            writer.transport.abort()
            return
        flow = _Flow(writer, far_writer, self._pace)
        self._flows.add(flow)
        if self._refuses:
            flow.reset()
        if self._holds:
            flow.passes.clear()
        pumps = (
            flow.pump(reader, far_writer, answers=False),
            flow.pump(far_reader, writer, answers=True),
        )
        await asyncio.gather(*pumps, return_exceptions=True)
        flow.reset()
        self._flows.discard(flow)
        self._killed.discard(flow)

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server


@contextmanager
def proxied(host: str, port: int) -> Iterator[Proxy]:
    """Run a proxy in a thread of its own while the context lasts."""
    proxy = Proxy(host, port)
    loop = proxy._loop
    server = loop.run_until_complete(proxy._listen())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(server.close)
        proxy.refuse()
        while proxy._flows:
            time.sleep(_POLL_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
