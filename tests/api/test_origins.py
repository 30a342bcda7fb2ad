"""Host names, web pages of other sites, and the headers that tell browsers what they may do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from api.app import create_app
from api.auth.origins import EXPOSED
from api.openapi.document import document
from local.logs import Log
from local.processes import Group
from local.redis_server import redis_server
from local.stack import Plan, Stack
from tasks.errors import ConfigurationError
from tasks.settings import Settings
from tests.api.test_access import bearer, made, running_api

JOB = {"text": "服务很贴心"}
FRIEND, STRANGER = "https://shop.example.com", "https://evil.example"
PROBES = ("/livez", "/readyz", "/metrics")
_EVERY_ADDRESS = "0.0.0.0"  # noqa: S104  compared with, and bound to in a test


@pytest.fixture(scope="module")
def redis_for_module() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(scope="module")
def keyless(redis_for_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = {"AUTH": "none", "SENTIMENT_HOSTS": "api,sentiq.test", "SENTIMENT_CORS_ORIGINS": FRIEND}
    with running_api(redis_for_module, tmp_path_factory.mktemp("keyless") / "api.log", **settings) as url:
        yield url


@pytest.fixture(scope="module")
def guarded(redis_for_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A service that asks for keys, and a key."""
    token = made(redis_for_module)
    log = tmp_path_factory.mktemp("guarded") / "api.log"
    with running_api(redis_for_module, log, SENTIMENT_CORS_ORIGINS=FRIEND) as url:
        yield url, token


@pytest.fixture
def http(keyless: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=keyless, timeout=30, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST.", "localhost:80", "127.0.0.1", "127.8.9.1:8000", "[::1]", "[::1]:8000"),
        *("api:8000", "sentiq.test", "SENTIQ.test:443"),
    ],
)
def test_own_host_names_are_served(http: httpx2.Client, host: str) -> None:
    assert http.get("/v1/jobs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "localhost.evil.example", "evil.example.", "203.0.113.7"),
        *("127.0.0.1.evil.example", "evil.example@localhost", "localhost@evil.example", "api.evil.example"),
        *(_EVERY_ADDRESS, "[::]", "[2001:db8::1]", "a b", "localhost:80:90", "[::1"),
    ],
)
def test_other_host_names_are_misdirected(http: httpx2.Client, host: str) -> None:
    for method, path in (("GET", "/v1/jobs"), ("POST", "/v1/jobs"), ("GET", "/"), ("GET", "/nope")):
        answer = raw(http, method, path, host)
        assert answer.startswith((b"HTTP/1.1 421 ", b"HTTP/1.1 400 ")), answer
        assert b"unknown_host" in answer or b" 400 " in answer
    for path in PROBES:
        assert http.get(path, headers={"host": "10.1.2.3:8000"}).status_code == 200, "probes use any name"


def raw(http: httpx2.Client, method: str, path: str, host: str) -> bytes:
    """Send a request with this Host, however malformed, and return the answer."""
    with socket.create_connection((http.base_url.host, http.base_url.port or 80), 10) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_the_address_that_a_connection_came_in_on_is_its_own_name(redis_url: str, tmp_path: Path) -> None:
    with running_api(redis_url, tmp_path / "api.log", AUTH="none", SENTIMENT_HOST=_EVERY_ADDRESS) as url:
        port = httpx2.URL(url).port
        own = address_of_this_machine()
        assert httpx2.get(f"http://{own}:{port}/v1/jobs", trust_env=False).status_code == 200
        assert httpx2.get(f"{url}/v1/jobs", headers={"host": own}, trust_env=False).status_code == (
            200 if own.startswith("127.") else 421
        )


def address_of_this_machine() -> str:
    """Return an address that other machines reach, or a loopback one where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"sec-fetch-site": "same-origin"}, 202),
        ({"sec-fetch-site": "none"}, 202),
        ({"origin": "{own}", "sec-fetch-site": "same-origin"}, 202),
        ({"origin": FRIEND, "sec-fetch-site": "cross-site"}, 202),
        ({"origin": STRANGER}, 403),
        ({"origin": STRANGER, "sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://localhost:1"}, 403),
        ({"origin": FRIEND + ".evil.example"}, 403),
        ({"origin": FRIEND.replace("https", "http")}, 403),
    ],
)
def test_pages_of_other_sites_change_nothing(
    http: httpx2.Client, headers: dict[str, str], status: int
) -> None:
    own = str(http.base_url).rstrip("/")
    sent = {name: value.replace("{own}", own) for name, value in headers.items()}
    answer = http.post("/v1/jobs", json=JOB, headers=sent)
    assert answer.status_code == status, answer.text
    job_id = http.post("/v1/jobs", json=JOB).json()["id"]
    cancel = http.post(f"/v1/jobs/{job_id}/cancel", headers=sent)
    assert (cancel.status_code == 403) is (status == 403)
    assert (http.delete(f"/v1/jobs/{job_id}", headers=sent).status_code == 403) is (status == 403)
    if status == 403:
        assert answer.json()["code"] == cancel.json()["code"] == "foreign_origin"
        assert http.get("/v1/jobs", headers=sent).status_code == 200, "browsers keep the answer from the page"


def preflight(url: str, origin: str) -> httpx2.Response:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    return httpx2.options(f"{url}/v1/jobs", headers={"origin": origin, **asked}, trust_env=False)


def test_a_listed_origin_gets_preflights_answered_and_may_read(
    keyless: str, guarded: tuple[str, str]
) -> None:
    for url, key in ((keyless, {}), (guarded[0], bearer(guarded[1]))):
        answer = preflight(url, FRIEND)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, FRIEND)
        allowed = answer.headers["access-control-allow-headers"].lower()
        assert {"authorization", "content-type", "idempotency-key", "prefer"} <= set(allowed.split(", "))
        assert {"GET", "POST", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
        posted = httpx2.post(f"{url}/v1/jobs", json=JOB, headers={"origin": FRIEND} | key, trust_env=False)
        assert (posted.status_code, posted.headers["access-control-allow-origin"]) == (202, FRIEND)
        assert "Location" in posted.headers["access-control-expose-headers"]
        assert posted.headers["vary"] == "Origin"
        failed = httpx2.get(f"{url}/v1/jobs/nope", headers={"origin": FRIEND} | key, trust_env=False)
        assert (failed.status_code, failed.headers["access-control-allow-origin"]) == (404, FRIEND)


def test_no_other_origin_gets_a_header_of_cors(keyless: str, guarded: tuple[str, str]) -> None:
    for url in (keyless, guarded[0]):
        for origin in (STRANGER, "null", "", FRIEND + ".evil.example"):
            answers = [preflight(url, origin), httpx2.get(f"{url}/v1/info", headers={"origin": origin})]
            for answer in answers:
                assert [name for name in answer.headers if name.startswith("access-control")] == []
                assert answer.headers["vary"] == "Origin"


def test_a_page_may_read_every_header_that_the_document_names() -> None:
    settings = Settings()
    calls = [
        call for path in document(create_app(settings), settings)["paths"].values() for call in path.values()
    ]
    named = {
        name for call in calls for answer in call["responses"].values() for name in answer.get("headers", {})
    }
    assert named == set(EXPOSED)


@pytest.mark.parametrize("origin", ["*", "shop.example.com", "https://a.b/", "https://a.b/x", "https://A.b"])
def test_what_is_no_origin_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("SENTIMENT_CORS_ORIGINS", f"{FRIEND},{origin}")
    with pytest.raises(ConfigurationError, match=r"SENTIMENT_CORS_ORIGINS.*http\(s\)://host"):
        Settings.read()


@pytest.mark.parametrize("host", ["http://a.b", "a.b:8080", "a.b/", "*.a.b", "[::1]:80", "a b"])
def test_what_no_host_header_can_match_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("SENTIMENT_HOSTS", f"a_b,a.b.,192.0.2.1,[2001:db8::1],2001:db8::1,{host}")
    with pytest.raises(ConfigurationError, match=r"SENTIMENT_HOSTS.*without a scheme and a port"):
        Settings.read()
    monkeypatch.setenv("SENTIMENT_HOSTS", "a_b,a.b.,192.0.2.1,[2001:db8::1],2001:db8::1")
    Settings.read()


def test_with_keys_any_host_name_is_served(guarded: tuple[str, str]) -> None:
    headers = bearer(guarded[1]) | {"host": "sentiq.example.com", "origin": STRANGER}
    assert httpx2.post(f"{guarded[0]}/v1/jobs", json=JOB, headers=headers, trust_env=False).status_code == 202


def every_kind_of_answer(http: httpx2.Client, guarded: str) -> Iterator[httpx2.Response]:
    job_id = http.post("/v1/jobs", json=JOB).json()["id"]
    for rule in create_app(Settings()).url_map.iter_rules():
        path = rule.rule.replace("<job_id>", job_id).replace("<path:filename>", "page.js")
        (method, *_) = sorted((rule.methods or set()) - {"HEAD", "OPTIONS", "DELETE"}) or ["DELETE"]
        if not path.endswith("/events"):
            yield http.request(method, path)
        yield http.options(path)
    for accept in ("text/csv", "application/x-ndjson"):
        yield http.get(f"/v1/jobs/{job_id}/results", headers={"accept": accept})
    yield http.get("/nope")
    yield http.delete("/v1/jobs")
    yield http.get("/", headers={"host": "evil.example"})
    yield http.post("/v1/jobs", json=JOB, headers={"origin": STRANGER})
    yield httpx2.get(f"{guarded}/v1/jobs")
    yield http.delete(f"/v1/jobs/{job_id}")


def test_every_answer_has_the_security_headers(http: httpx2.Client, guarded: tuple[str, str]) -> None:
    seen: dict[int, int] = {}
    for answer in every_kind_of_answer(http, guarded[0]):
        headers, what = answer.headers, f"{answer.request.method} {answer.request.url}"
        assert headers["x-content-type-options"] == "nosniff", what
        assert headers["x-frame-options"] == "DENY", what
        assert "frame-ancestors 'none'" in headers["content-security-policy"], what
        assert headers["referrer-policy"] == "same-origin", what
        cached = "no-cache" if "/static/" in what and answer.is_success and "GET" in what else "no-store"
        assert headers["cache-control"] == cached, what
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
    assert {200, 204, 401, 403, 404, 405, 415, 421} <= seen.keys()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("::1", "http://[::1]:8000"),
        ("[::1]", "http://[::1]:8000"),
        ("::", "http://[::1]:8000"),
        (_EVERY_ADDRESS, "http://127.0.0.1:8000"),
        ("localhost", "http://localhost:8000"),
        ("10.1.2.3", "http://10.1.2.3:8000"),
    ],
)
def test_a_stack_knows_its_url(host: str, url: str, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        assert Stack(Plan(8000, host=host), Group(), Log(log)).url == url


def test_an_ipv6_address_needs_no_brackets(redis_url: str, tmp_path: Path) -> None:
    with running_api(redis_url, tmp_path / "api.log", host="::1", AUTH="none") as url:
        assert httpx2.get(f"{url}/v1/jobs", trust_env=False).status_code == 200
