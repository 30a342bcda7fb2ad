"""Kombu's Redis transport with four fixes, which finds Redis as the job store does.

After a hard restart of Redis, Celery 5.7 closes the connection and then acks or restores on the old channel,
which builds a client from a connection that is gone: an AttributeError, which nobody takes for a connection
error, so the whole worker exits. Here that is a connection error, and the worker reconnects.

Kombu waits without end for a message of the control channel once its socket was readable, and so does the
whole worker where that message was lost, came in part, or was read before. Here that wait ends.

Each of its channels has connections of its own. After a link died in silence, they cost a time-out each, one
after the other. Here the first that is found dead closes those that are idle, and those of the job store.

A message that kombu or Celery cannot read ends the worker too. Here only wake-ups leave our queues, and all
other messages are dropped with a warning.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from queue import Empty
from typing import Any, cast

import redis
from kombu.transport import redis as kombu_redis

from tasks import score
from tasks.redis_connections import ConnectionPool, connection_class, place
from tasks.redis_url import RedisUrl
from tasks.vocabulary.model_names import WAKEUPS

logger = logging.getLogger(__name__)

_SHOWN_BYTES = 100
_MESSAGE_S = 1.5
# What a connection through a Unix socket does not know.
_TCP = ("host", "port", "socket_keepalive", "socket_keepalive_options")
_UNUSED_HEADERS = ("eta", "expires", "group", "stamps")


def is_wakeup(raw: bytes) -> bool:
    """Return whether a message is a call of our task as we publish it, so that Celery can read it."""
    try:
        message = json.loads(raw)
        headers, properties, delivery = _parts(message)
        args, kwargs, _ = json.loads(base64.b64decode(message["body"], validate=True))
        return bool(
            (headers["task"], message["content-type"]) == (score.NAME, "application/json")
            and (message["content-encoding"], properties["body_encoding"]) == ("utf-8", "base64")
            and _are_strings(headers["id"], properties["delivery_tag"], *delivery)
            and not any(headers.get(name) for name in _UNUSED_HEADERS)
            and (args, kwargs) == ([], {})
            # Kombu would build an object of that type.
            and b"__type__" not in raw
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, binascii.Error):
        return False


def _parts(message: Any) -> tuple[dict[str, Any], dict[str, Any], tuple[Any, Any]]:
    properties = message["properties"]
    delivery = properties["delivery_info"]
    return message["headers"], properties, (delivery["exchange"], delivery["routing_key"])


def _are_strings(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)


def _holds_wakeups(key: bytes) -> bool:
    """Return whether a list in Redis is one of our queues, and not one for replies to a control command."""
    return key.startswith(WAKEUPS.encode())


class _Subscriber(redis.client.PubSub):
    """The control channel of a worker: it holds the worker's loop up no longer than a call to Redis."""

    def parse_response(self, block: bool = True, timeout: float = 0) -> Any:  # noqa: ARG002, FBT001, FBT002
        """Return a message; None if none is there, whatever the caller asks for."""
        connection = self.connection
        if connection is not None and not self._execute(connection, connection.can_read, timeout=0):
            return None
        # What has begun to come may still end too early: then this is an error of the connection.
        patience_s = connection and connection.socket_timeout
        return super().parse_response(block=False, timeout=patience_s or _MESSAGE_S)  # type: ignore[no-untyped-call]


class _Client(redis.Redis):
    """A client that gives nothing but wake-ups from our queues to kombu, which pops them with BRPOP."""

    def pubsub(self, **options: Any) -> _Subscriber:
        return _Subscriber(self.connection_pool, **options)

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        reply = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call]
        if command_name == "BRPOP" and reply and _holds_wakeups(reply[0]) and not is_wakeup(reply[1]):
            logger.warning("dropped a message that is no wake-up: %r", reply[1][:_SHOWN_BYTES])
            return None
        return reply


class Channel(kombu_redis.Channel):
    """A channel that knows when its connection is gone, and delivers no message that nobody can read.

    The option `server` is the URL of Redis as we read it: kombu knows no Sentinels in this transport.
    """

    from_transport_options: Any = (*kombu_redis.Channel.from_transport_options, "server")
    server = RedisUrl()

    def _connparams(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002  kombu's signature
        if self.connection is None or self.connection.client is None:
            message = "the channel's connection is closed"
            raise redis.ConnectionError(message)
        if self.server.address is None:
            self.connection_class = self.connection_class_ssl = cast("Any", connection_class(self.server))
        params = super()._connparams(asynchronous=asynchronous)  # type: ignore[no-untyped-call]
        if self.server.address is None:
            for name in _TCP if self.server.path else ("host", "port"):
                params.pop(name, None)
            params |= place(self.server)
        return params

    def _get_pool(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002  kombu's signature
        pool = super()._get_pool(asynchronous)  # type: ignore[no-untyped-call]
        if asynchronous:  # the event loop's: its thread alone closes them
            return pool
        most, options = pool.max_connections, pool.connection_kwargs
        return ConnectionPool(pool.connection_class, max_connections=most, **options)

    def _get_client(self) -> type[redis.Redis]:
        return _Client

    def _receive_one(self, c: Any) -> Any:
        try:
            return super()._receive_one(c)  # type: ignore[no-untyped-call]
        except (OSError, redis.RedisError, Empty):
            raise
        except Exception as error:  # noqa: BLE001  it depends on the message
            logger.warning("dropped a message of the control channel: %r", error)
            return True


class Transport(kombu_redis.Transport):
    """Kombu's transport with the channel above."""

    Channel = Channel
