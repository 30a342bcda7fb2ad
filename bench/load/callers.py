"""HTTP requests on kept connections, in closed and open loop, at a small cost in CPU time for the client.

A client shares the machine with what it measures, so it is no more than asyncio's streams.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.program import BenchError

_TIMEOUT_S = 600
_REFUSALS = ("429", "503")


@dataclass(frozen=True)
class Load:
    """A finished load: seconds from the first request to the last answer, and the latency of each request.

    In an open loop a latency begins when the request was due, so that a late client hides nothing. It ends
    with the last try: `refusals` counts answers that asked for another one.
    """

    seconds: float
    latencies_s: list[float]
    refusals: int = 0


def post(path: str, body: Any, headers: Sequence[str] = ()) -> bytes:
    """Return a POST request of JSON."""
    content = json.dumps(body, ensure_ascii=False).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "host: 127.0.0.1",
        "content-type: application/json",
        f"content-length: {len(content)}",
        *headers,
        "\r\n",
    ]
    return "\r\n".join(lines).encode() + content


class Connections:
    """Kept connections to a server on a port of this machine; a request takes an idle one, or a new one."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._host, self._port = host, port
        self.refusals = 0
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, request: bytes) -> bytes:
        """Send a request and return the body of its answer; if it is refused, again after `Retry-After`.

        Raise BenchError unless the status is 2xx in the end.
        """
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            head, body = await self._send(request)
            status, wait_s = head.split(" ", 2)[1], _header(head, "retry-after")
            if status.startswith("2"):
                return body
            if status not in _REFUSALS or not wait_s.isdecimal() or time.monotonic() > deadline:
                raise BenchError(f"{head.splitlines()[0]}: {body[:300].decode(errors='replace')}")
            self.refusals += 1
            await asyncio.sleep(int(wait_s))

    async def _send(self, request: bytes) -> tuple[str, bytes]:
        for last in (False, True):
            kept = bool(self._idle) and not last
            reader, writer = self._idle.pop() if kept else await self._open()
            try:
                return await self._exchange(reader, writer, request)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                writer.close()
                # A server may close a kept connection just when it is used again.
                if not kept:
                    raise BenchError(f"port {self._port} closed the connection: {error!r}") from error
        raise AssertionError

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._port)

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> tuple[str, bytes]:
        writer.write(request)
        async with asyncio.timeout(_TIMEOUT_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            body = await _read_body(reader, head)
        if _header(head, "connection") == "close" or head.startswith("http/1.0"):
            writer.close()
        else:
            self._idle.append((reader, writer))
        return head, body

    def close(self) -> None:
        """Close the idle connections."""
        for _, writer in self._idle:
            writer.close()


async def _read_body(reader: asyncio.StreamReader, head: str) -> bytes:
    if length := _header(head, "content-length"):
        return await reader.readexactly(int(length))
    parts = []
    while size := int(await reader.readline(), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)


def _header(head: str, name: str) -> str:
    """Return the value of a header, empty if it is absent; `head` is in small letters."""
    return head.partition(f"\r\n{name}:")[2].partition("\r\n")[0].strip()


async def closed_loop(port: int, requests: Sequence[bytes], callers: int) -> Load:
    """Send requests in a closed loop: each caller waits for an answer before it sends the next request."""
    connections, waiting = Connections(port), iter(requests)
    latencies: list[float] = []

    async def call() -> None:
        for request in waiting:
            sent = time.monotonic()
            await connections.send(request)
            latencies.append(time.monotonic() - sent)

    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())
    seconds = time.monotonic() - start
    connections.close()
    return Load(seconds, latencies, connections.refusals)


async def open_loop(port: int, requests: Sequence[bytes], times: Sequence[float]) -> Load:
    """Send each request at its time, in seconds after the start, however many are unanswered."""
    connections = Connections(port)
    latencies: list[float] = []
    start = time.monotonic()

    async def call(request: bytes, due: float) -> None:
        await connections.send(request)
        latencies.append(time.monotonic() - start - due)

    async with asyncio.TaskGroup() as group:
        for request, due in zip(requests, times, strict=True):
            await asyncio.sleep(max(0, start + due - time.monotonic()))
            group.create_task(call(request, due))
    seconds = time.monotonic() - start
    connections.close()
    return Load(seconds, latencies, connections.refusals)
