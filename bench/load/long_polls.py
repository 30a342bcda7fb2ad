"""Many clients that wait for one job at one API process: how soon all know that it is over."""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from local.client import Client
from local.stack import Stack

_HEADERS = "host: bench\r\nconnection: close\r\n"
_BETWEEN_OTHERS_S = 0.02
_AT_ONCE = 50  # connections that are opened at the same time


class NotHeldError(Exception):
    """Somebody who should have waited was answered early, or wrongly."""


def hold_and_wake(stack: Stack, pollers: int, streams: int, let_go: Callable[[], None]) -> dict[str, Any]:
    """Have clients wait for a job that ends once `let_go` is called; return how late each knew."""
    with Client(stack.url) as client:
        job = client.submit(["服务很贴心"])
    return asyncio.run(_hold(stack.url, job["id"], pollers, streams, let_go))


async def _hold(
    url: str, job_id: str, pollers: int, streams: int, let_go: Callable[[], None]
) -> dict[str, Any]:
    gate = asyncio.Semaphore(_AT_ONCE)
    path = f"/v1/jobs/{job_id}"
    events = [_Held(url, f"{path}/events", "", b"event: snapshot", b"event: done") for _ in range(streams)]
    polls = [_Held(url, path, "prefer: wait=30\r\n", b"", b'"status":"succeeded"') for _ in range(pollers)]
    started = time.monotonic()
    await asyncio.gather(*(each.open(gate) for each in [*events, *polls]))
    opened = time.monotonic() - started
    waiting = [asyncio.create_task(each.wait()) for each in [*events, *polls]]
    others = asyncio.create_task(_others(url, path, waiting))
    await asyncio.sleep(3)
    if any(task.done() for task in waiting):
        raise NotHeldError("a client was answered before the job was over")
    let_go()
    woken = await asyncio.gather(*waiting)
    over = _finished(await _get(url, path))
    latencies = await others
    delays = sorted(at - over for at in woken)
    return {
        "pollers": pollers,
        "streams": streams,
        "opened_s": round(opened, 2),
        "woken_after_s": {"median": round(statistics.median(delays), 3), "last": round(delays[-1], 3)},
        "other_requests": len(latencies),
        "other_requests_ms": {
            "median": round(1000 * statistics.median(latencies), 1),
            "p95": round(1000 * statistics.quantiles(latencies, n=20)[-1], 1),
        },
    }


class _Held:
    """One client: `first` is what it is told at once, `last` what it waits for."""

    def __init__(self, url: str, path: str, headers: str, first: bytes, last: bytes) -> None:
        self._url, self._path, self._headers = url, path, headers
        self._first, self._last = first, last

    async def open(self, gate: asyncio.Semaphore) -> None:
        """Send the request, and read what is told at once."""
        async with gate:
            self._reader, writer = await _connect(self._url)
            writer.write(f"GET {self._path} HTTP/1.1\r\n{_HEADERS}{self._headers}\r\n".encode())
            await writer.drain()
            if self._first:
                await self._reader.readuntil(self._first)
        self._writer = writer

    async def wait(self) -> float:
        """Return the time of day at which it knew."""
        seen = b""
        while self._last not in seen:
            block = await self._reader.read(65536)
            if not block:
                raise NotHeldError(seen[-500:].decode(errors="replace"))
            seen += block
        at = time.time()
        self._writer.close()
        return at


async def _others(url: str, path: str, waiting: list[asyncio.Task[float]]) -> list[float]:
    """Ask for the job now and then as long as anybody waits; return the seconds that each answer took."""
    seconds = []
    while not all(task.done() for task in waiting):
        started = time.monotonic()
        await _get(url, path)
        seconds.append(time.monotonic() - started)
        await asyncio.sleep(_BETWEEN_OTHERS_S)
    return seconds


async def _get(url: str, path: str) -> bytes:
    reader, writer = await _connect(url)
    writer.write(f"GET {path} HTTP/1.1\r\n{_HEADERS}\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


def _connect(url: str) -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    place = urlsplit(url)
    return asyncio.open_connection(place.hostname, place.port)


def _finished(answer: bytes) -> float:
    job = json.loads(answer.split(b"\r\n\r\n", 1)[1])
    return datetime.fromisoformat(job["finished_at"]).timestamp()
