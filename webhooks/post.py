"""One attempt at a delivery: resolve once, check, connect to what was checked, post, take the status."""

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
from tasks.vocabulary.destinations import Address, AddressRules

# A name server that stalls must hold up nothing but the deliveries that ask it.
_NAMES = ThreadPoolExecutor(64, "names")

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class NotReachedError(Exception):
    """There is nobody to post to; the message is the code that the log shows."""


class Poster:
    """Posts by the rules of a deployment. No proxy is used, and no redirect followed."""

    def __init__(self, rules: AddressRules, timeout_s: float, resolve: Resolve | None = None) -> None:
        self._backend = _Checked(rules, resolve or _resolve, timeout_s / 3)
        self._timeout_s = timeout_s
        self._trusted = ssl.create_default_context()

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> AttemptOutcome:
        """Make one attempt; the time for all of it is bounded, however slowly bytes come."""
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
        """Return the status; the body is not read, whatever its size."""
        lines = [(name.encode(), value.encode()) for name, value in headers.items()]
        async with (
            httpcore2.AsyncConnectionPool(self._trusted, network_backend=self._backend) as pool,
            pool.stream("POST", url, headers=lines, content=content) as response,
        ):
            return int(response.status)


class _Checked(httpcore2.AsyncNetworkBackend):
    """Connects to the very addresses that were checked; TLS is verified against the name all the same."""

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
        # One refused address is enough: a name that is half private means harm.
        if not all(self._rules.allow_address(host, address) for address in addresses):
            raise NotReachedError("address_refused")
        for address in map(str, addresses):
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._network.connect_tcp(address, port, self._connect_s)
        raise NotReachedError("not_connected")


async def _resolve(host: str, port: int) -> Sequence[Address]:
    try:
        found = await asyncio.get_running_loop().run_in_executor(
            _NAMES, partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        )
    except OSError as error:
        raise NotReachedError("name_not_resolved") from error
    return [ip_address(address[0]) for *_, address in found]
