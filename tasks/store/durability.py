"""Accepted work on disk before its answer: DURABLE=true.

Redis usually writes its log to disk once a second, so a power failure may take the last second along. WAITAOF
answers when what its connection wrote is on disk; a write of our own behind those of others covers them too.
So all requests of a process share one connection, and those that come while it waits share the next wait.

Where there is no WAITAOF, or one that answers before the disk does, Redis must write each change to disk
before it answers at all (`appendfsync always`), and each wait looks whether it still does.

A Redis that was restarted, or replaced by its replica, since a request wrote says nothing about that write.
So a wait vouches only for requests that began after this process first met that run of the server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis

from tasks.errors import ConfigurationError, SentiqError, StoreUnavailableError
from tasks.store.connection import connect_apart, store_errors
from tasks.store.keys import DURABLE

# With `appendfsync everysec` it takes a second, and longer while the disk is busy.
_PATIENCE_S = 4.0
# The answer to WAITAOF comes at the end of its patience at the latest.
_SOCKET_TIMEOUT_S = _PATIENCE_S + 1
_KEPT_MS = 86_400_000
# The first Redis whose WAITAOF waits for the disk with `appendfsync everysec` too (redis/redis#13793). Valkey
# has the older code, in 9.1 still.
_TRUTHFUL = 8
_NO_LOG = "DURABLE=true needs a Redis that keeps a log: set `appendonly yes`"


@dataclass(eq=False, slots=True)
class _Wait:
    """One wait for the disk, of all requests that came before it began."""

    done: bool = False
    error: SentiqError | None = None
    met_s: float = 0  # when this process first met the run of the server that answered


class Durability:
    """Waits until what this process wrote is on disk."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = connect_apart(client, socket_timeout=_SOCKET_TIMEOUT_S)
        self._waiting = threading.Lock()
        self._next = _Wait()
        self._run_id, self._met_s = "", 0.0

    def require(self) -> str:
        """Return how Redis makes writes durable. Raises ConfigurationError if it does not.

        Raises StoreUnavailableError if it does not answer.
        """
        with store_errors():
            info = self._client.info("server")
            self._meet(info)
            if not self._client.info("persistence")["aof_enabled"]:
                raise ConfigurationError(_NO_LOG)
            if not waits_for_disk(info):
                self._require_always(info)
                return "appendfsync always"
            try:
                # For nobody's disk: it answers at once.
                self._client.execute_command("WAITAOF", 0, 0, 1)
            except redis.exceptions.NoPermissionError:
                raise ConfigurationError(
                    "DURABLE=true uses WAITAOF, which the user of REDIS_URL may not: add +waitaof to its ACL"
                ) from None
        return "WAITAOF"

    def settle(self, began_s: float) -> None:
        """Return when all that a request wrote which began at that monotonic time is on disk.

        Raises StoreUnavailableError when it is not in time, or may be lost; ConfigurationError when no server
        like this one says so.
        """
        wait = self._next
        with self._waiting:
            if not wait.done:
                # What comes from now on may be written after our own write, so it needs the next wait.
                self._next = _Wait()
                try:
                    self._sync()
                except SentiqError as error:
                    wait.error = error
                wait.met_s, wait.done = self._met_s, True
        if wait.error:
            raise wait.error
        if began_s < wait.met_s:
            raise StoreUnavailableError("Redis was restarted or replaced since the request began: try again")

    def _meet(self, info: Mapping[str, Any]) -> None:
        """Note since when the server is the one that answers."""
        if info["run_id"] != self._run_id:
            self._run_id, self._met_s = info["run_id"], time.monotonic()

    def _sync(self) -> None:
        with store_errors():
            info: dict[str, Any] = self._client.info("server")
            if waits_for_disk(info):
                self._wait_for_disk()
                # The run that waited, not one before it.
                info = self._client.info("server")
            else:
                self._require_always(info)
            self._meet(info)

    def _wait_for_disk(self) -> None:
        written, synced = self._write_and_wait()
        if not written:
            # It expired, or Redis lost it. A full Redis would refuse this command, and takes the other.
            self._client.set(DURABLE, 1, px=_KEPT_MS)
            written, synced = self._write_and_wait()
        if not written or not synced:
            raise StoreUnavailableError(f"Redis did not write its log to disk in {_PATIENCE_S:g} s")

    def _write_and_wait(self) -> tuple[bool, bool]:
        """Write, and wait for the disk, on one connection; return whether each was done."""
        pipe = self._client.pipeline(transaction=False)
        pipe.pexpire(DURABLE, _KEPT_MS)
        pipe.execute_command("WAITAOF", 1, 0, int(_PATIENCE_S * 1000))
        written, (synced, _) = pipe.execute()
        return bool(written), bool(synced)

    def _require_always(self, info: Mapping[str, Any]) -> None:
        """Return if Redis writes to disk before each answer. Raises ConfigurationError."""
        try:
            log = self._client.config_get("append*")
        except redis.exceptions.NoPermissionError:
            raise ConfigurationError(
                f"DURABLE=true: {server_name(info)} must be set to `appendfsync always`, and the user of "
                "REDIS_URL may not see whether it is: add +config|get to its ACL"
            ) from None
        if log.get("appendonly") != "yes":
            raise ConfigurationError(_NO_LOG)
        if (fsync := log.get("appendfsync")) != "always":
            raise ConfigurationError(
                f"DURABLE=true: {server_name(info)} says nothing about its disk unless it is set to "
                f"`appendfsync always`, and it is set to {fsync}"
            )


def waits_for_disk(info: Mapping[str, Any]) -> bool:
    """Return whether the WAITAOF of a server, by its INFO, answers no earlier than its disk."""
    return "valkey_version" not in info and int(str(info["redis_version"]).split(".")[0]) >= _TRUTHFUL


def server_name(info: Mapping[str, Any]) -> str:
    """Return name and version of a server, by its INFO."""
    valkey = info.get("valkey_version")
    return f"Valkey {valkey}" if valkey else f"Redis {info['redis_version']}"
