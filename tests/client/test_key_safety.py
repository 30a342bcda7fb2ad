"""A key reaches its own service only, and is in nothing that is shown."""

from __future__ import annotations

import logging
import traceback

import pytest
from sentiq import AuthenticationError, ConfigurationError, Sentiq, SentiqConnectionError, SentiqError

from tests.client.proxy import Plan, proxied, response
from tests.client.test_jobs import GOOD, texts

KEY = "sentiq_secret123"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SENTIQ_URL", "SENTIQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_no_redirect_is_followed(live_url: str, status: str) -> None:
    with proxied(live_url) as other:
        answer = response(status, location=f"{other.url}/v1/jobs")
        with proxied(live_url, Plan(answer=answer)) as proxy, Sentiq(proxy.url, KEY) as client:
            with pytest.raises(ConfigurationError, match="redirects to") as caught:
                client.submit(texts(100))
            assert KEY not in str(caught.value)
            assert b"Bearer " + KEY.encode() in b"".join(bytes(each) for each in proxy.received)
        assert other.received == []


def test_a_proxy_of_the_environment_gets_nothing(live_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxied(live_url) as other, proxied(live_url) as own:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, other.url)
        with Sentiq(own.url, KEY) as client:
            client.info()
        assert (len(other.received), len(own.received)) == (0, 1)


def test_the_key_of_the_environment_is_for_the_service_of_the_environment(
    live_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIQ_API_KEY", KEY)
    with proxied(live_url) as own, proxied(live_url) as other:
        for known, expected in ((None, True), (own.url, True), (other.url, False)):
            own.received.clear()
            monkeypatch.setenv("SENTIQ_URL", known) if known else None
            with Sentiq(own.url) as client:
                client.info()
            assert (KEY.encode() in own.received[0]) is expected
        monkeypatch.setenv("SENTIQ_URL", own.url)
        with Sentiq() as client:
            assert client.url == own.url
            client.info()
        assert KEY.encode() in own.received[-1]


def test_the_key_is_in_no_log_error_or_repr(live_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown = []
    problem = b'{"code": "key_unknown", "detail": "no"}'
    plans = [Plan(answer=response("401 Unauthorized", problem)), Plan(cut_down=20), Plan(cut_up=10)]
    for plan in plans:
        with proxied(live_url, plan) as proxy, Sentiq(proxy.url, KEY, retry_for=0) as client:
            with pytest.raises((AuthenticationError, SentiqConnectionError)) as caught:
                client.submit(GOOD)
            shown += ["".join(traceback.format_exception(caught.value)), repr(caught.value), repr(client)]
            assert caught.value.__cause__ is None
            assert caught.value.__context__ is None
    assert len(shown) == 9
    assert [each for each in [*shown, caplog.text] if KEY in each] == []
    assert "POST" in caplog.text


@pytest.mark.parametrize("key", ["two words", "line\r\nbreak", "ключ", "tab\t"])
def test_a_key_that_is_none_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Sentiq("http://localhost:1", key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://host", "http://", "http://h/?a=b", "http://h:99999", "http://[::1"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no address"):
        Sentiq(url)


def test_a_password_in_the_address_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Sentiq("http://user:passw0rd@localhost:8000")
    assert "passw0rd" not in str(caught.value)


def test_an_id_stays_one_segment_of_the_path(live_url: str) -> None:
    with proxied(live_url) as proxy, Sentiq(proxy.url, KEY) as client:
        for job_id in ("../../readyz", "a/b", "a?b#c", "//evil.example/x"):
            with pytest.raises(SentiqError):
                client.job(job_id)
        sent = b"".join(bytes(each) for each in proxy.received)
        assert sent.count(b"GET /v1/jobs/") == 4
        assert b"GET /readyz" not in sent
