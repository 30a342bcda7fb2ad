"""Requests that no HTTP library would send."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    status: int
    media_type: str
    body: Any


@contextmanager
def connected(url: str, timeout_s: float = 30) -> Iterator[socket.socket]:
    place = urlsplit(url)
    address = (place.hostname or "", place.port or 0)
    with socket.create_connection(address, timeout=timeout_s) as connection:
        yield connection


def head(path: str, *headers: str, method: str = "POST", media_type: str = "application/json") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", f"content-type: {media_type}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def answer_on(connection: socket.socket) -> Answer:
    """Read one response to its end."""
    received = b""
    while b"\r\n\r\n" not in received and (block := connection.recv(65536)):
        received += block
    top, _, body = received.partition(b"\r\n\r\n")
    status, *fields = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    while len(body) < int(headers["content-length"]) and (block := connection.recv(65536)):
        body += block
    return Answer(int(status.split()[1]), headers["content-type"], json.loads(body))


def exchange(url: str, sent: bytes, *, and_ends: bool = False) -> Answer:
    """Send bytes on a connection of their own, perhaps end it on this side, and read the response."""
    with connected(url) as connection:
        connection.sendall(sent)
        if and_ends:
            connection.shutdown(socket.SHUT_WR)
        return answer_on(connection)
