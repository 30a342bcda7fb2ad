"""Kombu's Redis transport with one fix.

After a hard restart of Redis, Celery 5.7 closes the connection and then acks or restores on the old channel,
which builds a client from a connection that is gone: an AttributeError, which nobody takes for a connection
error, so the whole worker exits. Here that is a connection error, and the worker reconnects.
"""

from __future__ import annotations

from typing import Any

import redis
from kombu.transport import redis as kombu_redis


class Channel(kombu_redis.Channel):
    """A channel that knows when its connection is gone."""

    def _connparams(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002  kombu's signature
        if self.connection is None or self.connection.client is None:
            message = "the channel's connection is closed"
            raise redis.ConnectionError(message)
        return super()._connparams(asynchronous=asynchronous)  # type: ignore[no-untyped-call]


class Transport(kombu_redis.Transport):
    """Kombu's transport with the channel above."""

    Channel = Channel
