"""Hosts and addresses that a webhook may go to: public ones, and those the operator lists."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network

from tasks.vocabulary.hosts import Address, address_of, bare

Network = IPv4Network | IPv6Network

# Names of this machine or this network, wherever they are resolved.
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa")
# No name ends so; resolvers read what does as an address, `127.0` as 127.0.0.0.
_ENDS_IN_A_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$")
# Not public, though `is_global` says so: IETF protocols (Oracle's metadata), 6to4 relays, Azure's metadata.
_REFUSED_V4 = [ip_network(net) for net in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")]
# Addresses outside of it are mapped, translated, local or unassigned. 6to4 and Teredo hide an IPv4 address.
_PUBLIC_V6 = ip_network("2000::/3")
_REFUSED_V6 = [ip_network(net) for net in ("2002::/16", "2001::/32")]


class AddressRules:
    """The rules of a deployment. `allowed`: host names, addresses and networks beside the public ones."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._hosts: set[str] = set()
        self._networks: list[Network] = []
        for entry in allowed:
            network = _network(entry)
            if network is None:
                self._hosts.add(bare(entry))
            else:
                self._networks.append(network)

    def allow_host(self, host: str) -> bool:
        """Return whether a URL's host, not resolved yet, may receive webhooks."""
        host = bare(host)
        address = address_of(host)
        if address is not None:
            return self.allow_address(host, address)
        local = "." not in host or f".{host}".endswith(_LOCAL_SUFFIXES)
        return host in self._hosts or not (local or _ENDS_IN_A_NUMBER.search(host))

    def allow_address(self, host: str, address: Address) -> bool:
        """Return whether deliveries to a host may connect to this address of it."""
        listed = bare(host) in self._hosts or any(address in network for network in self._networks)
        return listed or _is_public(address)


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    return address in _PUBLIC_V6 and not any(address in network for network in _REFUSED_V6)


def _network(entry: str) -> Network | None:
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None
