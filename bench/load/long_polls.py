"""Many clients that wait for one job at one API process: how soon each learns that it has finished."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sentiq import Sentiq

from bench.program import BenchError
from local.stack import Stack

_HEADERS = "host: localhost\r\nconnection: close\r\n"
_PROBE_INTERVAL_S = 0.02
_SETTLE_S = 3  # for a client that is answered too early to show itself
_MAX_CONNECTING = 50


def measure_wake_up(stack: Stack, pollers: int, streams: int, finish: Callable[[], None]) -> dict[str, Any]:
    """Have clients wait for a job that finishes once `finish` is called; return their delays in seconds.

    Raise BenchError if a client is answered before that, or loses its connection.
    """
    with Sentiq(stack.url) as client:
        job = client.submit(["服务很贴心"])
    return asyncio.run(_measure(stack.url, job.id, pollers, streams, finish))


async def _measure(
    url: str, job_id: str, pollers: int, streams: int, finish: Callable[[], None]
) -> dict[str, Any]:
    path = f"/v1/jobs/{job_id}"
    clients = _clients(url, path, pollers, streams)
    limit = asyncio.Semaphore(_MAX_CONNECTING)
    started = time.monotonic()
    await asyncio.gather(*(client.open(limit) for client in clients))
    opened_s = time.monotonic() - started
    waiting = [asyncio.create_task(client.wait()) for client in clients]
    probes = asyncio.create_task(_probe(url, path, waiting))
    await asyncio.sleep(_SETTLE_S)
    if any(task.done() for task in waiting):
        raise BenchError("a client was answered before the job finished")
    finish()
    woken_at = await asyncio.gather(*waiting)
    finished_at = _finished_at(await _get(url, path))
    return {
        "pollers": pollers,
        "streams": streams,
        "opened_s": round(opened_s, 2),
        "woken_after_s": _delays(sorted(at - finished_at for at in woken_at)),
        **_latencies(await probes),
    }


def _clients(url: str, path: str, pollers: int, streams: int) -> list[_WaitingClient]:
    events = [
        _WaitingClient(url, f"{path}/events", "", b"event: snapshot", b"event: done") for _ in range(streams)
    ]
    polls = [
        _WaitingClient(url, path, "prefer: wait=30\r\n", b"", b'"status":"succeeded"') for _ in range(pollers)
    ]
    return events + polls


class _WaitingClient:
    """A client of one request: `first` is what the API answers at once, `last` what the client waits for."""

    def __init__(self, url: str, path: str, headers: str, first: bytes, last: bytes) -> None:
        self._url, self._path, self._headers = url, path, headers
        self._first, self._last = first, last

    async def open(self, limit: asyncio.Semaphore) -> None:
        """Send the request, and read what the API answers at once."""
        async with limit:
            self._reader, writer = await _connect(self._url)
            writer.write(f"GET {self._path} HTTP/1.1\r\n{_HEADERS}{self._headers}\r\n".encode())
            await writer.drain()
            if self._first:
                await self._reader.readuntil(self._first)
        self._writer = writer

    async def wait(self) -> float:
        """Return the Unix time at which `last` arrived."""
        received = b""
        while self._last not in received:
            block = await self._reader.read(65536)
            if not block:
                end = received[-500:].decode(errors="replace")
                raise BenchError(f"a client lost its connection before the job finished, after: {end}")
            received += block
        at = time.time()
        self._writer.close()
        return at


async def _probe(url: str, path: str, waiting: list[asyncio.Task[float]]) -> list[float]:
    """Read the job at intervals while clients wait; return the seconds that each request took."""
    seconds = []
    while not all(task.done() for task in waiting):
        started = time.monotonic()
        await _get(url, path)
        seconds.append(time.monotonic() - started)
        await asyncio.sleep(_PROBE_INTERVAL_S)
    return seconds


def _delays(ordered: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(ordered), 3), "last": round(ordered[-1], 3)}


def _latencies(seconds: list[float]) -> dict[str, Any]:
    return {
        "other_requests": len(seconds),
        "other_requests_ms": {
            "median": round(1000 * statistics.median(seconds), 1),
            "p95": round(1000 * statistics.quantiles(seconds, n=20)[-1], 1),
        },
    }


async def _get(url: str, path: str) -> bytes:
    reader, writer = await _connect(url)
    writer.write(f"GET {path} HTTP/1.1\r\n{_HEADERS}\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


def _connect(url: str) -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    parts = urlsplit(url)
    return asyncio.open_connection(parts.hostname, parts.port)


def _finished_at(answer: bytes) -> float:
    job = json.loads(answer.split(b"\r\n\r\n", 1)[1])
    return datetime.fromisoformat(job["finished_at"]).timestamp()
