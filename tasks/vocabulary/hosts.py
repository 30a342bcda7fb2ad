"""Host names and addresses as people write them: with or without brackets, a port, a dot at the end."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address

_NAME = re.compile(r"[\w.-]+")
_WITH_PORT = re.compile(r"(\[[^][@/]+\]|[^][:@/]+)(?::[0-9]*)?")


def bare(host: str) -> str:
    """Return the host in small letters, without brackets and without a dot at the end."""
    return host.strip("[]").rstrip(".").lower()


def without_port(host: str) -> str:
    """Return the bare host of `host:port`, of `[address]:port` or of either without a port; else nothing."""
    match = _WITH_PORT.fullmatch(host)
    return bare(match[1]) if match else ""


def in_url(host: str) -> str:
    """Return the host as it stands in a URL: an IPv6 address has brackets."""
    host = host.strip("[]")
    return f"[{host}]" if ":" in host else host


def address_of(host: str) -> Address | None:
    """Return the address that a bare host is; None if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_host(text: str) -> bool:
    """Return whether the text is a name or an address, without a scheme, a port or wildcards."""
    return _NAME.fullmatch(text) is not None or address_of(bare(text)) is not None


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine reach the host."""
    address = address_of(bare(host))
    return address.is_loopback if address else bare(host) == "localhost"


def is_unspecified(host: str) -> bool:
    """Return whether the host stands for every address of this machine, as `0.0.0.0` and `::` do."""
    address = address_of(bare(host))
    return address is not None and address.is_unspecified
