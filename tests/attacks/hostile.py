"""Everything that one API key, or nobody's key, can do over HTTP to take the service from others.

`python -m tests.attacks.hostile URL TOKEN SECONDS NAME…` runs attacks side by side and prints the answers of
the service, as JSON. It is a process of its own, so that calls whose latency is measured do not wait for it.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_S = 10
_MIB = 2**20
_PAUSE_S = 0.2
_AT_ONCE = 50  # connections that are opened between two pauses
_NDJSON = {"content-type": "application/x-ndjson"}
_WIDE = "\U00020bb7"  # a character of four bytes


@dataclass
class Target:
    """The service, the key of the attacker and when the attack ends. `answers` counts what it answered."""

    url: str
    token: str
    ends_at: float
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def going(self) -> bool:
        return time.monotonic() < self.ends_at

    def connect(self, receive_bytes: int = 0) -> socket.socket:
        parts = urlsplit(self.url)
        connection = socket.socket()
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(_TIMEOUT_S)
        connection.connect((parts.hostname, parts.port))
        return connection

    def head(self, request: str, **headers: str) -> bytes:
        """Return the head of a request with the attacker's key, which `authorization` replaces."""
        given = {"host": "attacked", "authorization": f"Bearer {self.token}", "connection": "close"}
        lines = [f"{request} HTTP/1.1"] + [f"{name}: {value}" for name, value in (given | headers).items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def send(self, request: str, body: bytes = b"", **headers: str) -> bytes:
        """Send a request, count how it is answered, and return the body of the answer."""
        return self.send_raw(self.head(request, **{"content-length": str(len(body))} | headers) + body)

    def send_raw(self, data: bytes) -> bytes:
        try:
            with self.connect() as connection:
                with suppress(ConnectionError):  # it may answer, and close, before it has read all
                    connection.sendall(data)
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError as error:
            self.answers[type(error).__name__] += 1
            time.sleep(_PAUSE_S)
            return b""
        head, _, content = answer.partition(b"\r\n\r\n")
        status = head[9:12].decode(errors="replace") or "closed"
        self.answers[status] += 1
        if status == "429":
            time.sleep(_PAUSE_S)  # leaves the rate of the key to the attacks that cost more
        return content

    def post(self, path: str, document: Any) -> bytes:
        body = _compact(document)
        return self.send(f"POST {path}", body, **{"content-type": "application/json"})

    def repeat(self, data: bytes) -> None:
        """Send the same request until the attack ends."""
        while self.going:
            self.send_raw(data)

    def hold(self, count: int, begin: Callable[[socket.socket], None]) -> None:
        """Keep many connections on which `begin` has sent something; replace those that end."""
        held: dict[int, socket.socket] = {}
        ends = select.poll()
        while self.going:
            for number, _ in ends.poll(0):
                ends.unregister(number)
                held.pop(number).close()
            for _ in range(min(_AT_ONCE, count - len(held))):
                with suppress(OSError):
                    connection = self.connect(receive_bytes=4096)
                    held[connection.fileno()] = connection
                    ends.register(connection, select.POLLRDHUP)
                    begin(connection)
            self.answers["most held"] = max(self.answers["most held"], len(held))
            time.sleep(_PAUSE_S)
        for connection in held.values():
            connection.close()

    def for_a_while(self, seconds: float) -> Target:
        """Return a target whose attack ends after some seconds."""
        return replace(self, ends_at=min(self.ends_at, time.monotonic() + seconds))


def _compact(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _request(target: Target, path: str, document: Any) -> bytes:
    """Return a whole request, so that it is built only once."""
    body = _compact(document)
    sizes = {"content-type": "application/json", "content-length": str(len(body))}
    return target.head(f"POST {path}", **sizes) + body


def _gzip(blocks: Iterator[bytes]) -> bytes:
    squeeze = zlib.compressobj(wbits=31)
    return b"".join([*map(squeeze.compress, blocks), squeeze.flush()])


def _upload(target: Target, body: bytes, **headers: str) -> bytes:
    sizes = {"content-length": str(len(body))}
    return target.head("POST /v1/jobs", **_NDJSON, **sizes, **headers) + body


def _blank_lines(line: bytes) -> Callable[[Target], None]:
    """Upload 200 MiB of lines without a text, as 200 KB of gzip."""

    def attack(target: Target) -> None:
        block = line * (_MIB // len(line))
        body = _gzip(block for _ in range(200))
        target.repeat(_upload(target, body, **{"content-encoding": "gzip"}))

    return attack


def _unscorable_lines(target: Target) -> None:
    """Upload 990,000 items without a text that are kept for seven days, as 2 KB of gzip."""
    body = _gzip(b"1\n" * 10_000 for _ in range(99))
    data = target.head(
        "POST /v1/jobs?result_ttl_s=604800",
        **_NDJSON,
        **{"content-encoding": "gzip", "content-length": str(len(body))},
    )
    target.repeat(data + body)


def _document(path: str, document: Any) -> Callable[[Target], None]:
    """Send one document again and again."""
    return lambda target: target.repeat(_request(target, path, document))


def _events_of_every_job(target: Target) -> None:
    """Ask for the same event 200,000 times, and end the job at once."""
    events = ["job.succeeded", "job.failed"] * 100_000
    webhook = {"url": "http://127.0.0.9:9/", "events": events}
    target.repeat(_request(target, "/v1/jobs", {"text": "好", "webhook": webhook}))


def _long_texts(terms: dict[str, Any]) -> Callable[[Target], None]:
    """Send 130 distinct texts of 10,000 characters with options that make each as dear as can be."""

    def attack(target: Target) -> None:
        number = 0
        while target.going:
            number += 1
            items = [{"text": f"{number},{i}" + "菜很好吃，服务也很周到。" * 830} for i in range(130)]
            target.post("/v1/jobs", {"items": items} | terms)

    return attack


def _teach_a_high_rate(target: Target) -> None:
    """Send equal texts, which are computed once, and then distinct ones that cost far more."""
    equal = {"items": [{"text": "菜很好吃，" * 660}] * 390, "priority": "bulk"}
    dear = _long_texts({"priority": "bulk", "on_long_text": "window"})
    while target.going:
        for _ in range(3):
            target.post("/v1/jobs", equal)
        dear(target.for_a_while(2))


def _kept_bytes(target: Target) -> None:
    """Keep as many bytes as the service accepts, for seven days, without a text to score."""
    items = [{"text": "", "id": _WIDE * 256}] * 1000
    metadata = {f"{i}{_WIDE * 62}": _WIDE * 512 for i in range(16)}
    terms = {"result_ttl_s": 604_800, "metadata": metadata}
    target.repeat(_request(target, "/v1/jobs", {"items": items} | terms))


def _unfinished_bodies(target: Target) -> None:
    """Announce a body and send one byte of it."""
    head = target.head("POST /predict", **{"content-type": "application/json", "content-length": "100"})
    target.hold(1500, lambda connection: connection.sendall(head + b"{"))


def _unfinished_heads(target: Target) -> None:
    target.hold(500, lambda connection: connection.sendall(b"POST /predict HTTP/1.1\r\nhost: a\r\nx-a: "))


def _dripping_uploads(target: Target) -> None:
    """Send an upload in chunks, a line a second, so that no read times out."""
    head = target.head("POST /v1/jobs", **_NDJSON, **{"transfer-encoding": "chunked"})
    with ExitStack() as stack:
        uploads = [stack.enter_context(target.connect()) for _ in range(50)]
        for upload in uploads:
            upload.sendall(head)
        while target.going:
            for upload in uploads:
                with suppress(OSError):
                    upload.sendall(b"1\r\n\n\r\n")
            time.sleep(1)


def _job_with(target: Target, body: bytes) -> str:
    """Upload lines and return the id of their job."""
    job: str = json.loads(target.send_raw(_upload(target, body)) or b"{}").get("id", "job_none")
    return job


def _slow_readers(target: Target) -> None:
    """Ask for many megabytes of results, and read none of them."""
    line = json.dumps({"text": "", "id": _WIDE * 256}, ensure_ascii=False).encode() + b"\n"
    job = _job_with(target, line * 10_000)
    head = target.head(f"GET /v1/jobs/{job}/results", accept="application/x-ndjson")
    target.hold(200, lambda connection: connection.sendall(head))


def _slow_pages(target: Target) -> None:
    """Ask for pages of a few megabytes each, and read none of them."""
    item = {"text": "", "id": _WIDE * 256, "data": {"a": "b" * 2000}}
    job = _job_with(target, (_compact(item) + b"\n") * 1000)
    head = target.head(f"GET /v1/jobs/{job}/results")
    target.hold(400, lambda connection: connection.sendall(head))


def _half_uploads(target: Target) -> None:
    """Upload megabytes of items in each of many requests, and pause before there are enough to record."""
    item = {"text": "", "id": _WIDE * 256, "data": {"a": "b" * 2000}}
    head = target.head("POST /v1/jobs", **_NDJSON, **{"content-length": "100000000"})
    body = head + (_compact(item) + b"\n") * 900
    target.hold(300, lambda connection: connection.sendall(body))


def _waits(kind: str, **headers: str) -> Callable[[Target], None]:
    """Hold 1,500 waits or streams for a job that does not finish soon."""

    def attack(target: Target) -> None:
        items = [{"text": f"第{i}次来，" + "很好吃，" * 200} for i in range(1000)]
        while target.going:
            job = json.loads(target.post("/v1/jobs", {"items": items, "priority": "bulk"}) or b"{}")
            head = target.head(f"GET /v1/jobs/{job.get('id', 'job_none')}{kind}", **headers)
            target.for_a_while(5).hold(1500, lambda connection, head=head: connection.sendall(head))  # type: ignore[misc]

    return attack


def _dead_webhooks(target: Target) -> None:
    """Send jobs whose receivers accept a connection and never answer."""
    with ExitStack() as stack:
        urls = []
        for number in range(2, 14):
            server = stack.enter_context(socket.create_server((f"127.0.0.{number}", 0), backlog=1024))
            urls.append(f"http://127.0.0.{number}:{server.getsockname()[1]}/")
        number = 0
        while target.going:
            number += 1
            target.post("/v1/jobs", {"items": [{"text": ""}], "webhook": {"url": urls[number % 12]}})


def _public(*requests: str, authorization: str) -> Callable[[Target], None]:
    """Ask in turn for paths that need no valid key."""

    def attack(target: Target) -> None:
        while target.going:
            for request in requests:
                target.send(request, authorization=authorization)

    return attack


def _metadata_filters(target: Target) -> None:
    """List jobs by a name that none has, among a thousand with all the metadata that fits."""
    metadata = {f"{i:02}" + "名" * 62: "值" * 512 for i in range(16)}
    data = _request(target, "/v1/jobs", {"items": [{"text": ""}], "metadata": metadata})
    for _ in range(1000):
        if target.going:
            target.send_raw(data)
    while target.going:
        target.send("GET /v1/jobs?metadata.zzz=1&limit=100")


def _malformed_chunks(target: Target) -> None:
    """Send bodies in chunks that are none."""
    bodies = (b"ZZ\r\n", b"0x5\r\nabcde\r\n0\r\n\r\n", b"-5\r\n", b"5" * _MIB)
    trailer = b"0\r\n" + b"x: y\r\n" * 100_000
    chunked = {"content-type": "application/json", "transfer-encoding": "chunked"}
    head = target.head("POST /v1/jobs", **chunked)
    while target.going:
        for body in (*bodies, trailer):
            target.send_raw(head + body)


def _abandoned_uploads(target: Target) -> None:
    """Begin uploads and cut them off."""
    head = target.head("POST /v1/jobs", **_NDJSON, **{"content-length": "100000"})
    while target.going:
        with suppress(OSError), target.connect() as connection:
            connection.sendall(head + '"很好"\n'.encode() * 200)
        time.sleep(_PAUSE_S)


def _reads(target: Target) -> None:
    """Ask for what is dear to answer."""
    unknown = {"ids": [f"job_{number:034}" for number in range(500)]}
    while target.going:
        target.post("/v1/jobs/lookup", unknown)
        target.send("GET /v1/jobs?limit=100")
        target.send("GET /v1/queue")


_MANY = 1_000_000
_METADATA = {str(number): "" for number in range(300_000)}
_WEBHOOK = {"url": "http://127.0.0.9:9/", "events": ["x"] * _MANY}
_PUBLIC = ("GET /readyz", "GET /metrics", "GET /docs", "GET /openapi.json")
_WINDOWS = {"priority": "interactive", "on_long_text": "window", "sentences": True, "explain": True}
# Each attack, and how many of it run side by side.
ATTACKS: dict[str, tuple[Callable[[Target], None], int]] = {
    "blank_lines": (_blank_lines(b"\n"), 1),
    "lines_of_space": (_blank_lines(b" \n"), 1),
    "unscorable_lines": (_unscorable_lines, 1),
    "repeated_events": (_events_of_every_job, 2),
    "unknown_events": (_document("/v1/jobs", {"text": "好", "webhook": _WEBHOOK}), 2),
    "many_items": (_document("/v1/jobs", {"items": [{"text": ""}] * 300_000}), 1),
    "many_texts": (_document("/predict_batch", {"texts": ["好"] * 600_000}), 1),
    "many_ids": (_document("/v1/jobs/lookup", {"ids": ["x"] * _MANY}), 1),
    "much_metadata": (_document("/v1/jobs", {"text": "好", "metadata": _METADATA}), 1),
    "nested_lists": (_document("/v1/jobs", {"text": [[]] * _MANY}), 1),
    "interactive_windows": (_long_texts(_WINDOWS), 2),
    "false_rate": (_teach_a_high_rate, 1),
    "kept_bytes": (_kept_bytes, 2),
    "unfinished_bodies": (_unfinished_bodies, 1),
    "unfinished_heads": (_unfinished_heads, 1),
    "dripping_uploads": (_dripping_uploads, 1),
    "abandoned_uploads": (_abandoned_uploads, 1),
    "slow_readers": (_slow_readers, 1),
    "slow_pages": (_slow_pages, 1),
    "half_uploads": (_half_uploads, 1),
    "waits": (_waits("", prefer="wait=30"), 1),
    "streams": (_waits("/events"), 1),
    "dead_webhooks": (_dead_webhooks, 2),
    "wrong_keys": (_public("GET /v1/jobs", authorization="Bearer sentiq_00000000_wrong"), 2),
    "public_pages": (_public(*_PUBLIC, authorization=""), 2),
    "metadata_filters": (_metadata_filters, 2),
    "malformed_chunks": (_malformed_chunks, 1),
    "reads": (_reads, 2),
}


def run(url: str, token: str, seconds: float, names: Sequence[str]) -> dict[str, Counter[str]]:
    """Run the attacks side by side; return what each was answered."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ends_at = time.monotonic() + seconds
    targets = {name: Target(url, token, ends_at) for name in names}
    threads = [
        threading.Thread(target=ATTACKS[name][0], args=(target,), daemon=True)
        for name, target in targets.items()
        for _ in range(ATTACKS[name][1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends_at + _TIMEOUT_S / 2 - time.monotonic()))
    return {name: target.answers for name, target in targets.items()}


if __name__ == "__main__":
    os.nice(10)  # an attacker has a machine of its own: it should not take processors from the service here
    print(json.dumps(run(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:])))
