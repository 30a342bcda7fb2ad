"""An answer counts as it is made: what is too large is refused before the rest of it is read and rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask, Response
from pydantic_core import to_json

from api.app import create_app
from api.auth.caller import Caller
from api.auth.open_requests import RESPONSE_BYTES, OpenRequests
from api.http.problems import Problem
from tasks.errors import StoreUnavailableError
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tests.api.test_held_bytes import WIDE, work
from tests.api.test_round_trips import counted

MOST = 20
CALLER = Caller("key", frozenset(), "127.0.0.1")
BLOCK = b" " * RESPONSE_BYTES


class Request:
    """A request that is handled without a server, until its response has been sent."""

    def __init__(self, open_requests: OpenRequests) -> None:
        self._open_requests = open_requests
        self._app = Flask(__name__)
        self.made = 0

    def answer(
        self, blocks: int, error: Exception | None = None, meanwhile: Callable[[], object] = bool
    ) -> Response:
        """Answer with that many blocks, or with what refuses them, or with an error behind them.

        What happens `meanwhile` does so between the first two blocks.
        """
        with self._app.test_request_context():
            self._open_requests.count(CALLER)
            try:
                body = self._open_requests.counted(self._blocks(blocks, error, meanwhile))
                response = Response(body)
            except (Problem, StoreUnavailableError) as refusal:
                response = Response(status=getattr(refusal, "status", 503))
            return self._app.process_response(response)

    def _blocks(
        self, count: int, error: Exception | None, meanwhile: Callable[[], object]
    ) -> Iterator[bytes]:
        for number in range(count):
            if number == 1:
                meanwhile()
            self.made += 1
            yield BLOCK
        if error:
            raise error


def test_what_does_not_fit_is_refused_before_the_rest_is_made() -> None:
    open_requests = OpenRequests(MOST)
    held = Request(open_requests).answer(10)
    refused = Request(open_requests)
    assert refused.answer(100).status_code == 429
    assert refused.made == MOST - 11
    held.close()


def test_one_answer_may_be_of_any_size_while_others_come_and_go() -> None:
    open_requests = OpenRequests(MOST)
    small = [Request(open_requests).answer(1) for _ in range(3)]
    assert Request(open_requests).answer(100).status_code == 429, "others are held already"
    for response in small:
        response.close()
    large = Request(open_requests)
    assert large.answer(100).status_code == 200
    assert large.made == 100


def test_what_is_held_is_given_back_beside_an_answer_that_exceeds_the_limit() -> None:
    open_requests = OpenRequests(MOST)
    small: list[Response] = []
    large = Request(open_requests).answer(
        100, meanwhile=lambda: small.append(Request(open_requests).answer(5))
    )
    assert (large.status_code, small[0].status_code) == (200, 200)
    assert open_requests._open[CALLER.identity] > MOST
    small[0].close()
    large.close()
    assert not open_requests._open
    assert not open_requests._answers
    assert not open_requests._of_any_size


@pytest.mark.parametrize("error", [None, StoreUnavailableError()])
def test_an_answer_is_counted_until_it_is_sent_or_cannot_be_made(error: Exception | None) -> None:
    open_requests = OpenRequests(MOST)
    for _ in range(3):
        held = Request(open_requests).answer(10, error)
        again = Request(open_requests).answer(10)
        assert (held.status_code, again.status_code) == ((503, 200) if error else (200, 429))
        held.close()
        again.close()
    assert not open_requests._open
    assert not open_requests._answers
    assert not open_requests._of_any_size


def reads(sent: list[str]) -> int:
    """Return how often a page is read on: most calls are of the script for that."""
    return max(map(sent.count, sent))


def test_a_refused_page_is_not_read_to_its_end(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH", "none")
    monkeypatch.setenv("SENTIMENT_MAX_OPEN_REQUESTS", "256")
    items = [{"text": "好", "id": WIDE * 256, "data": {"a": "b" * 2000}}] * 1000
    with create_app(Settings.read()).test_client() as client:
        accepted = client.post("/v1/jobs", data=to_json({"items": items}), content_type="application/json")
        path = accepted.json["links"]["results"]  # type: ignore[index]  # it has a body
        accepted.close()
        work(store)
        with counted() as all_of_it:
            held = client.get(path)
        assert (held.status_code, len(held.json["data"])) == (200, 1000)  # type: ignore[index]
        with counted() as a_part:
            refused = client.get(path)
        assert (refused.status_code, refused.json["code"]) == (429, "too_many_open_requests")  # type: ignore[index]
        assert 0 < reads(a_part) < reads(all_of_it)
        for response in (held, refused):
            response.close()
        assert client.get(path).status_code == 200
