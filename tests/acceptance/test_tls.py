"""`rediss://`: every connection of every program is encrypted, and the certificate of Redis is verified."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import redis
import trustme

from local.ports import free_port
from local.processes import ROOT, Group
from local.redis_server import start_redis
from tasks.broker.celery_app import build_celery, build_publisher
from tasks.broker.wakeups import NotPublishedError, publish_wakeups
from tasks.errors import StoreUnavailableError
from tasks.settings import Settings
from tasks.store.connection import redis_info
from tasks.store.jobs import JobStore
from tests.conftest import MODEL_NAME, started_stack

PASSWORD = "Gehe7im"  # noqa: S105  planted
_HANDSHAKE = 0x16


class TlsListener:
    """A TLS listener in front of a Redis; it notes the first bytes of each connection, sent and decrypted."""

    def __init__(self, redis_port: int, certificate: trustme.LeafCert) -> None:
        self.first: list[bytes] = []
        self.decrypted: list[bytes] = []
        self._redis_port = redis_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.present(certificate)
        self._listens = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        self._listens.wait()

    def present(self, certificate: trustme.LeafCert) -> None:
        """Present this certificate to connections that open from now on."""
        certificate.configure_cert(self._context)

    def drop(self) -> None:
        """Reset all connections that are open."""

        async def abort() -> None:
            for writer in self._writers:
                writer.transport.abort()

        asyncio.run_coroutine_threadsafe(abort(), self._loop).result()

    async def _serve(self) -> None:
        inner = await asyncio.start_server(self._decrypted, "127.0.0.1", 0, ssl=self._context)
        self._inner_port = inner.sockets[0].getsockname()[1]
        outer = await asyncio.start_server(self._raw, "127.0.0.1", 0)
        self.port: int = outer.sockets[0].getsockname()[1]
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._listens.set()
        await self._stopping.wait()

    async def _raw(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        await self._forward(reader, writer, self._inner_port, self.first)
        self._writers.discard(writer)

    async def _decrypted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._forward(reader, writer, self._redis_port, self.decrypted)

    @staticmethod
    async def _forward(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, notes: list[bytes]
    ) -> None:
        with suppress(OSError):
            first = await reader.read(65_536)
            notes.append(first)
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", port)
            onward_writer.write(first)
            await asyncio.gather(_pipe(reader, onward_writer), _pipe(onward_reader, writer))

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@contextmanager
def listening(authority: trustme.CA, name: str) -> Iterator[TlsListener]:
    with Group() as group:
        _, url = start_redis(group, password=PASSWORD)
        listener = TlsListener(urlsplit(url).port or 0, authority.issue_cert(name))
        try:
            yield listener
        finally:
            listener.stop()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def authority_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.mark.timeout(150)
def test_every_connection_of_a_stack_is_encrypted(
    authority: trustme.CA, authority_file: Path, tmp_path: Path
) -> None:
    with listening(authority, "localhost") as listener:
        url = f"rediss://:{PASSWORD}@localhost:{listener.port}/0?ssl_ca_certs={authority_file}"
        with started_stack(tmp_path, redis_url=url, SENTIMENT_CONCURRENCY="1") as stack:
            flower = free_port()
            stack.start_flower(flower)
            page = httpx2.get(f"http://127.0.0.1:{flower}/broker", timeout=30, trust_env=False)
            assert page.status_code == 200
            assert "sentiq.sentiq-zh-small" in page.text, "Flower reads the lengths of the queues"
            assert PASSWORD not in page.text
            stack.check()
    assert len(listener.first) >= 10
    assert {first[0] for first in listener.first if first} == {_HANDSHAKE}
    assert any(PASSWORD.encode() in each for each in listener.decrypted), "or this test sees nothing"
    assert PASSWORD not in (tmp_path / "stack.log").read_text("utf-8")


def use_store() -> None:
    redis_info(JobStore.connect(Settings.read()).redis)


def publish() -> None:
    publish_wakeups(build_publisher(Settings.read()), MODEL_NAME, 1)


def consume() -> None:
    build_celery(Settings.read()).connection_for_read().connect()


def use_flower() -> None:
    code = (
        "from deploy.flower.app import app; from flower.utils.broker import Broker; import asyncio;"
        "uri = app.connection().as_uri(include_password=True);"
        "broker = Broker(uri, broker_options={}, broker_use_ssl=app.conf.broker_use_ssl);"
        "errors = []\n"
        "for call in (lambda: app.connection().connect(), lambda: asyncio.run(broker.queues(['x']))):\n"
        "    try: call()\n"
        "    except Exception as error: errors.append(error); print(error)\n"
        "assert len(errors) == 2, errors"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    raise ssl.SSLError(done.stdout)


REFUSED: tuple[type[Exception], ...] = (StoreUnavailableError, NotPublishedError, redis.RedisError, OSError)


@pytest.mark.parametrize("call", [use_store, publish, consume, use_flower], ids=lambda call: call.__name__)
@pytest.mark.parametrize("fault", ["signed by nobody known", "of another host"])
def test_a_certificate_that_proves_nothing_is_refused(
    call: Any, fault: str, authority: trustme.CA, authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = fault == "of another host"
    with listening(authority, "elsewhere.example" if known else "localhost") as listener:
        query = f"?ssl_ca_certs={authority_file}" if known else ""
        monkeypatch.setenv("REDIS_URL", f"rediss://:{PASSWORD}@localhost:{listener.port}/0{query}")
        with pytest.raises(REFUSED, match="certificate verify failed") as caught:
            call()
        assert PASSWORD not in str(caught.value)
        assert {first[0] for first in listener.first} == {_HANDSHAKE}
        assert [each for each in listener.decrypted if each] == []
