"""An attempt connects only to addresses that were checked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme

from tasks.store.deliveries import AttemptOutcome
from tasks.vocabulary.destinations import AddressRules
from tasks.vocabulary.hosts import Address
from tests.webhooks.receiver import Receiver, receiving
from webhooks.post import NotReachedError, Poster

HERE = AddressRules(["127.0.0.1"])


class Names:
    """A resolver that gives each answer once, then always the last."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> list[Address]:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not answer:
            raise NotReachedError("name_not_resolved")
        return [ip_address(each) for each in answer]


def post(poster: Poster, url: str) -> AttemptOutcome:
    return asyncio.run(poster.post(url, {}, b"{}"))


def test_the_address_that_was_checked_is_the_one_connected_to(receiver: Receiver) -> None:
    """The name has another address when it is resolved again, so it must not be resolved again."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    poster = Poster(HERE, 5, names)
    assert post(poster, f"http://rebound.example:{receiver.port}/") == AttemptOutcome(204)
    assert (names.asked, len(receiver.received)) == (1, 1)
    assert receiver.received[0].headers["host"] == f"rebound.example:{receiver.port}"
    assert post(poster, f"http://rebound.example:{receiver.port}/") == AttemptOutcome(error="address_refused")
    assert (names.asked, len(receiver.received)) == (2, 1)


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:127.0.0.1"]])
def test_a_name_with_any_private_address_is_refused(receiver: Receiver, answer: list[str]) -> None:
    poster = Poster(AddressRules([]), 5, Names(answer))
    assert post(poster, f"http://evil.example:{receiver.port}/") == AttemptOutcome(error="address_refused")
    assert not receiver.received


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"])
def test_an_address_in_the_url_is_checked_again(receiver: Receiver, host: str) -> None:
    assert post(Poster(AddressRules([]), 5), f"http://{host}:{receiver.port}/") == AttemptOutcome(
        error="address_refused"
    )
    assert not receiver.received


def test_the_next_address_is_tried_when_one_does_not_answer(receiver: Receiver) -> None:
    poster = Poster(AddressRules(["127.0.0.0/8"]), 5, Names(["127.0.0.3", "127.0.0.1"]))
    assert post(poster, f"http://two.example:{receiver.port}/") == AttemptOutcome(204)


def test_no_proxy_of_the_environment_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(Receiver([500])) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert post(Poster(HERE, 5), receiver.url) == AttemptOutcome(204)
    assert not proxy.received


def test_a_failed_connection_has_an_error_code_for_its_cause(receiver: Receiver) -> None:
    poster = Poster(HERE, 5, Names([]))
    assert post(poster, "http://nowhere.example/") == AttemptOutcome(error="name_not_resolved")
    assert post(Poster(HERE, 5), "http://127.0.0.1:1/") == AttemptOutcome(error="not_connected")
    assert post(Poster(HERE, 5), f"https://127.0.0.1:{receiver.port}/") == AttemptOutcome(error="tls_failed")


def test_certificates_are_verified_against_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example").configure_cert(context)
    with receiving(Receiver(), tls=context) as receiver:
        url = f"https://{{}}.example:{receiver.port}/"
        assert post(Poster(HERE, 5, Names(["127.0.0.1"])), url.format("hooks")) == AttemptOutcome(
            error="tls_failed"
        )
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        poster = Poster(HERE, 5, Names(["127.0.0.1"]))
        assert post(poster, url.format("hooks")) == AttemptOutcome(204)
        assert post(poster, url.format("other")) == AttemptOutcome(error="tls_failed")
    assert len(receiver.received) == 1
