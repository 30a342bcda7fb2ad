"""TCP ports of this machine: read them from the environment, and check that they are free."""

from __future__ import annotations

import os
import socket

_LOOPBACK = "127.0.0.1"


class PortError(Exception):
    """A port cannot be used; the message names the variable to change."""


def free_port() -> int:
    """Return a port of the loopback interface on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def port_from_env(variable: str, default: int) -> int:
    """Return the port that `variable` holds, or `default` if it is unset or empty. Raises PortError."""
    value = os.environ.get(variable) or str(default)
    if not (value.isascii() and value.isdecimal() and 0 < int(value) < 2**16):
        raise PortError(f"{variable} is {value!r}; expected a port number from 1 to 65535")
    return int(value)


def require_free(variable: str, port: int) -> None:
    """Raise PortError if something listens on `port`; `variable` is named in the message."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            raise PortError(
                f"{variable} {port} is taken: choose another with make up {variable}={port + 1}"
            ) from error
