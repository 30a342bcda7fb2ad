"""TCP ports on this machine: read from the environment, tested, named when taken."""

import os
import socket

import psutil

_LOOPBACK = "127.0.0.1"


class PortError(Exception):
    """A port cannot be used; the message says which variable to change."""


def free_port() -> int:
    """A port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def port_from_env(variable: str, default: int) -> int:
    """The port that `variable` names."""
    value = os.environ.get(variable) or str(default)
    if not (value.isascii() and value.isdecimal() and 0 < int(value) < 2**16):
        raise PortError(f"{variable} is {value!r}; expected a port number from 1 to 65535")
    return int(value)


def require_free(variable: str, port: int) -> None:
    """Raise `PortError` when something listens on `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            raise PortError(
                f"{variable} {port} is taken{_holder(port)} - choose another: make up {variable}={port + 1}"
            ) from error


def _holder(port: int) -> str:
    """Who listens on `port`, where the system tells."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f" (by pid {connection.pid}, {psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass
    return ""
