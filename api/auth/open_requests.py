"""Limits the requests that one caller has open at this process, and gives each its turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Response, after_this_request, g

from api.auth.caller import Caller
from api.http.problems import Problem
from api.waiting.pacing import let_others_run
from api.waiting.turns import turns

# A stream of results or an upload counts as that many requests: it holds a page of results until its client
# reads it, or items until there are enough to record.
STREAM_WEIGHT = 8
# Each RESPONSE_BYTES of a response count as one more request: the API holds them until the client reads them.
RESPONSE_BYTES = 16 * 1024


@dataclass
class _Open:
    """An open request of a caller, and as how many it counts."""

    caller: Caller
    weight: int = 0
    answer: int = 0  # of the weight, that of its response
    answer_bytes: int = 0  # of its response, as far as it is made


class OpenRequests:
    """Counts the requests of each caller from their first check until their response has been sent."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        # Whose response may be of any size: the first one of a caller, until it has been sent.
        self._of_any_size: dict[str, _Open] = {}

    def count(self, caller: Caller) -> None:
        """Count the request that is being handled, and wait for a turn of its caller.

        Raises the 429 if the caller has too many open ones.
        """
        opened = g.opened = _Open(caller)
        self._add(opened, 1)
        address = turns.take(caller.identity)

        def close() -> None:
            if address is None:
                turns.end()
            else:
                turns.take(address)
            self._forget_answer(opened)
            _subtract(self._open, caller.identity, opened.weight)

        @after_this_request
        def close_with_response(response: Response) -> Response:
            response.call_on_close(close)
            if not (opened.answer or response.is_streamed):
                # What is done cannot be refused any more: it counts against what comes next.
                opened.answer_bytes = response.calculate_content_length() or 0
                self._count_answer(opened, must_fit=False)
            return response

    def count_stream(self) -> None:
        """Count the request that is being handled as a stream of results, or raise the 429."""
        self._add(g.opened, min(STREAM_WEIGHT, self._most) - g.opened.weight)

    @contextmanager
    def upload(self) -> Iterator[None]:
        """Count the request that is being handled as an upload until the block ends, or raise the 429."""
        weight = g.opened.weight
        self.count_stream()
        try:
            yield
        finally:
            self._add(g.opened, weight - g.opened.weight)

    def counted(self, blocks: Iterable[bytes]) -> list[bytes]:
        """Make a response block by block, and count it until it has been sent, or raise the 429.

        What does not fit is refused before the next block is made. One response at a time may be of any size:
        else a caller who always has a request open could never read it.
        """
        opened: _Open = g.opened
        made = []
        try:
            for block in blocks:
                opened.answer_bytes += len(block)
                self._count_answer(opened)
                made.append(block)
                let_others_run()
        except BaseException:
            self._forget_answer(opened)
            raise
        return made

    def _count_answer(self, opened: _Open, *, must_fit: bool = True) -> None:
        """Count what is made of a response."""
        name = opened.caller.identity
        more = min(opened.answer_bytes // RESPONSE_BYTES, self._most - opened.weight + opened.answer)
        more -= opened.answer
        if not more:
            return
        if not self._answers[name]:
            self._of_any_size[name] = opened
        self._add(opened, more, must_fit=must_fit and self._of_any_size.get(name) is not opened)
        opened.answer += more
        self._answers[name] += more

    def _forget_answer(self, opened: _Open) -> None:
        """Count the response of a request no more."""
        name = opened.caller.identity
        if self._of_any_size.get(name) is opened:
            del self._of_any_size[name]
        _subtract(self._answers, name, opened.answer)
        self._add(opened, -opened.answer)
        opened.answer = opened.answer_bytes = 0

    def _add(self, opened: _Open, weight: int, *, must_fit: bool = True) -> None:
        caller = opened.caller
        # What is given back always fits, also while an answer of any size holds more than the limit.
        if must_fit and weight > 0 and self._open[caller.identity] + weight > self._most:
            whose = "This key" if caller.owner else "This address"
            detail = (
                f"{whose} may have {self._most} requests open at once; a stream and an upload count as "
                f"{STREAM_WEIGHT}, and a response as one more for each {RESPONSE_BYTES // 1024} KiB."
            )
            raise Problem(429, "too_many_open_requests", detail, retry_after_s=1)
        self._open[caller.identity] += weight
        opened.weight += weight


def _subtract(counts: Counter[str], name: str, count: int) -> None:
    counts[name] -= count
    if not counts[name]:
        del counts[name]
