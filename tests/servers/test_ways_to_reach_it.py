"""A stack on a Redis behind a Unix socket, in another database, or that asks clients for certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
import trustme

from local.ports import free_port
from local.processes import Group, ProcessDiedError
from local.stack import Stack
from tasks.redis_connections import connection_options
from tasks.redis_url import read_redis_url
from tests.conftest import started_stack
from tests.servers.deployment import answered, run_server

DATABASE = 5
PASSWORD = "Gehe7im"  # noqa: S105  planted
OURS = "sentiq:*"


def client(url: str) -> Any:
    return redis.Redis.from_pool(redis.ConnectionPool(**connection_options(read_redis_url(url))))


@pytest.fixture
def group() -> Iterator[Group]:
    with Group() as group:
        yield group


@pytest.fixture
def works(tmp_path: Path) -> Callable[[str], None]:
    """Return a function that runs a whole stack with a URL, Flower too: a text gets its verdict."""

    def run(url: str) -> None:
        # It returns when a first text has its verdict, which went through API, Celery and a child.
        with started_stack(tmp_path, redis_url=url, SENTIMENT_CONCURRENCY="1") as stack:
            assert_flower_reads_queues(stack)
            stack.check()
        assert PASSWORD not in (tmp_path / "stack.log").read_text("utf-8")

    return run


def assert_flower_reads_queues(stack: Stack) -> None:
    port = free_port()
    stack.start_flower(port)
    page = httpx2.get(f"http://127.0.0.1:{port}/broker", timeout=30, trust_env=False)
    assert page.status_code == 200
    assert "sentiq.sentiq-zh-small" in page.text


def test_through_a_unix_socket(group: Group, tmp_path: Path, works: Callable[[str], None]) -> None:
    path = tmp_path / "redis.sock"
    # Port 0: it listens nowhere else.
    server = run_server(group, "--port", "0", "--unixsocket", str(path), "--requirepass", PASSWORD)
    url = f"unix://:{PASSWORD}@{path}?db={DATABASE}"
    answered(client(url), server)
    works(url)
    assert client(url).exists("sentiq:id_secret")
    assert list(client(f"unix://:{PASSWORD}@{path}").scan_iter(OURS)) == []


def test_in_another_database(group: Group, works: Callable[[str], None]) -> None:
    port = free_port()
    server = run_server(group, "--port", str(port), "--bind", "127.0.0.1")
    url = f"redis://127.0.0.1:{port}"
    answered(client(url), server)
    client(url).set("sentiq:theirs", "1")
    works(f"{url}/{DATABASE}")
    assert client(f"{url}/{DATABASE}").exists("sentiq:id_secret")
    assert list(client(url).scan_iter(OURS)) == [b"sentiq:theirs"]
    assert [key for key in client(url).scan_iter("*") if key != b"sentiq:theirs"] == [], (
        "nor anything of Celery"
    )


class Certificates:
    """An authority, the certificate of a server, and that of a client."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self.server = self._issue(authority, folder / "server.pem")
        self.client = self._issue(authority, folder / "client.pem")

    @staticmethod
    def _issue(authority: trustme.CA, path: Path) -> Path:
        # A file with the key and the chain serves as both.
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(path))
        return path


@pytest.fixture
def tls(group: Group, tmp_path: Path) -> tuple[str, Certificates]:
    """Run a server that speaks TLS alone, to clients with a certificate; give its URL without one."""
    files, port = Certificates(tmp_path), free_port()
    server = run_server(
        group,
        *("--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--tls-auth-clients", "yes"),
        *("--tls-cert-file", str(files.server), "--tls-key-file", str(files.server)),
        *("--tls-ca-cert-file", str(files.authority)),
    )
    url = f"rediss://localhost:{port}/0?ssl_ca_certs={files.authority}"
    try:
        answered(client(with_certificate(url, files)), server)
    except ProcessDiedError as error:
        assert "tls" in str(error)  # noqa: PT017  else it ended for another reason
        pytest.skip("this server was built without TLS")
    return url, files


def with_certificate(url: str, files: Certificates) -> str:
    return f"{url}&ssl_certfile={files.client}&ssl_keyfile={files.client}"


def test_by_tls_with_the_certificate_of_a_client(
    tls: tuple[str, Certificates], works: Callable[[str], None]
) -> None:
    url, files = tls
    works(with_certificate(url, files))


def test_by_tls_without_one_it_is_refused(tls: tuple[str, Certificates]) -> None:
    url, _ = tls
    with pytest.raises((redis.ConnectionError, OSError)):
        client(url).ping()
