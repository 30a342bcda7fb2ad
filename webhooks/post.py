"""One attempt at a delivery: resolve the name once, check its addresses, connect to one of them, post."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from ipaddress import ip_address

import httpcore2

from tasks.store.deliveries import AttemptOutcome
from tasks.vocabulary.destinations import AddressRules
from tasks.vocabulary.hosts import Address

MAX_PARALLEL = 256  # attempts of one sender
# A lookup may go on for half a minute after its attempt has timed out. With threads for those lookups too, a
# name server that never answers delays only the deliveries that need it.
_RESOLVER_THREADS = 3 * MAX_PARALLEL

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class NotReachedError(Exception):
    """No connection to the receiver; the message is the error code of the attempt."""


class Poster:
    """Posts to the addresses that the rules allow. It uses no proxy and follows no redirect."""

    def __init__(self, rules: AddressRules, timeout_s: float, resolve: Resolve | None = None) -> None:
        self._backend = _CheckedNetwork(rules, resolve or _Resolver(), timeout_s / 3)
        self._timeout_s = timeout_s
        self._trusted = ssl.create_default_context()

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> AttemptOutcome:
        """Make one attempt, which takes at most `timeout_s`, however slowly the receiver sends bytes."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return AttemptOutcome(await self._status(url, headers, content))
        except TimeoutError:
            return AttemptOutcome(error="timed_out")
        except NotReachedError as error:
            return AttemptOutcome(error=str(error))
        except httpcore2.ConnectError:
            return AttemptOutcome(error="tls_failed")
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError):
            return AttemptOutcome(error="connection_lost")

    async def _status(self, url: str, headers: Mapping[str, str], content: bytes) -> int:
        """Return the status code; the body of the response is not read."""
        lines = [(name.encode(), value.encode()) for name, value in headers.items()]
        async with (
            httpcore2.AsyncConnectionPool(self._trusted, network_backend=self._backend) as pool,
            pool.stream("POST", url, headers=lines, content=content) as response,
        ):
            return int(response.status)


class _CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses that it has checked; TLS certificates are verified against the name."""

    def __init__(self, rules: AddressRules, resolve: Resolve, connect_s: float) -> None:
        self._rules = rules
        self._connect_s = connect_s
        self._resolve = resolve
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  httpcore's signature
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._resolve(host.strip("[]"), port)
        # One refused address is enough: a name with public and private addresses is an attack.
        if not all(self._rules.allow_address(host, address) for address in addresses):
            raise NotReachedError("address_refused")
        for address in map(str, addresses):
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._network.connect_tcp(address, port, self._connect_s)
        raise NotReachedError("not_connected")


class _Resolver:
    """Resolves names with the system's resolver, in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, "resolver")

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Return the addresses of a host. Raises NotReachedError."""
        lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._threads, lookup)
        except OSError as error:
            raise NotReachedError("name_not_resolved") from error
        return [ip_address(address[0]) for *_, address in results]
