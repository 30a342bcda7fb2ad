from __future__ import annotations

from ipaddress import ip_address

import pytest

from tasks.vocabulary.destinations import AddressRules

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2001:4860:4860::8888"]
REFUSED = [
    *("127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),  # noqa: S104
    *("100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16", "198.18.0.1", "224.0.0.1"),
    *("255.255.255.255", "240.0.0.1", "192.88.99.1", "203.0.113.5"),
    *("::1", "::", "fe80::1", "fe80::1%2", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
    *("2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1", "5f00::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    rules = AddressRules([])
    assert rules.allow_address("example.com", ip_address(address))
    assert rules.allow_host(f"[{address}]" if ":" in address else address)


@pytest.mark.parametrize("address", REFUSED)
def test_other_addresses_are_refused_in_a_url_and_behind_a_name(address: str) -> None:
    rules = AddressRules([])
    assert not rules.allow_address("example.com", ip_address(address))
    assert not rules.allow_host(f"[{address}]" if ":" in address else address)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST.", "a.localhost", "redis", "printer.local", "metadata.google.internal"),
        *("0177.0..", "127.1.", "example.0x7f"),
    ],
)
def test_local_names_are_refused_without_resolving_them(host: str) -> None:
    assert not AddressRules([]).allow_host(host)


def test_only_what_the_operator_lists_is_allowed_beside_public_addresses() -> None:
    rules = AddressRules(["10.1.0.0/16", "::1", "Hooks.internal"])
    assert rules.allow_host("10.1.2.3")
    assert rules.allow_host("[::1]")
    assert rules.allow_host("hooks.internal.")
    assert rules.allow_address("hooks.internal", ip_address("10.9.9.9"))
    assert rules.allow_address("example.com", ip_address("10.1.2.3"))
    assert not rules.allow_address("example.com", ip_address("10.9.9.9"))
    assert not rules.allow_host("other.internal")
