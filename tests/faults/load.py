"""Clients that use the service while it breaks, and what they know to be accepted."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx2

from tests.faults.caller import Caller, Problems, UnexpectedAnswerError
from tests.faults.kinds.kind import Poison

CLIENTS = 3
PAUSE_S = (0.2, 0.9)
BATCH, UPLOAD = (5, 40), (40, 120)
SHOPS = 4
SHARE_WITH_WEBHOOK, SHARE_OF_REPEATS = 0.3, 0.5
SHARE_OF_SLOW_UPLOADS, PARTS, PART_S = 0.6, 4, 0.5
FINISHED_S, JOIN_S = 120, 150


def slowly(lines: Sequence[str]) -> Iterator[bytes]:
    """Yield lines in a few parts, so that the first ones are recorded while others still come."""
    size = len(lines) // PARTS + 1
    for start in range(0, len(lines), size):
        time.sleep(PART_S)
        yield "".join(f"{line}\n" for line in lines[start : start + size]).encode()


@dataclass
class Sent:
    """A job that was accepted: its texts in order, and what may have become of them."""

    key: str
    texts: Sequence[str]
    job_id: str = ""
    how: str = "batch"
    webhook: bool = False
    canceled: bool = False
    deleted: bool = False
    short: bool = False  # its deadline may have passed
    poison: dict[int, Poison] = field(default_factory=dict)  # its items that do harm, by index


@dataclass
class Load:
    """Clients that run until `stop`. `sent` has what was accepted; `lossy` says that Redis may lose it."""

    caller: Caller
    problems: Problems
    texts: Sequence[str]
    hook: str
    seed: int
    lossy: bool
    sent: list[Sent] = field(default_factory=list)
    refused: list[int] = field(
        default_factory=list
    )  # items of each try to upload that got no answer, or a 503
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each client end what it does."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(JOIN_S)
            if thread.is_alive():
                self.problems.add(f"a client still waits after {JOIN_S} s")

    def submit(self, texts: Sequence[str], key: str, **terms: Any) -> Sent:
        """Submit a job until it is accepted, and remember it."""
        items = [
            {"text": text, "id": f"{key}-{number}", "data": {"shop": number % SHOPS}}
            for number, text in enumerate(texts)
        ]
        webhook = {"url": self.hook} if "webhook" in terms else None
        body = {"items": items, "summarize_by": "shop", **terms}
        if webhook:
            body["webhook"] = webhook
        answer = self._accepted("/v1/jobs", key, json=body)
        sent = self._remember(Sent(key, texts, answer["id"], webhook=bool(webhook)))
        if random.Random(key).random() < SHARE_OF_REPEATS:
            again = self._accepted("/v1/jobs", key, json=body)["id"]
            if again != sent.job_id and not self.lossy:
                self.problems.add(f"the key of {sent.job_id} made {again} too")
            elif again != sent.job_id:  # Redis lost the first one between the two calls
                self._remember(Sent(key, texts, again, webhook=bool(webhook)))
        return sent

    def send_all(self, key: str) -> None:
        """Submit a job of all texts."""
        self.submit(self.texts, f"{self.seed}-{key}")

    def send(self, poison: Poison) -> None:
        """Submit a text that does harm among others."""
        rng = random.Random(f"{self.seed}/{poison.text}")
        texts = self._some(rng)
        place = rng.randrange(len(texts) + 1)
        sent = self.submit([*texts[:place], poison.text, *texts[place:]], f"{self.seed}-poison-{place}")
        sent.poison[place] = poison

    def _accepted(self, path: str, key: str, **options: Any) -> dict[str, Any]:
        headers = {"idempotency-key": key} | options.pop("headers", {})
        answer: dict[str, Any] = self.caller.call("POST", path, (200, 202), headers=headers, **options).json()
        return answer

    def _remember(self, sent: Sent) -> Sent:
        self.sent.append(sent)
        return sent

    def _run(self, number: int) -> None:
        rng = random.Random(f"{self.seed}/{number}")
        acts: Sequence[Callable[[random.Random, str], None]] = (
            self._single,
            self._batch,
            self._batch,
            self._upload,
            self._canceled,
            self._deleted,
            self._followed,
            self._retried,
        )
        turn = 0
        while not self._stopping.wait(rng.uniform(*PAUSE_S)):
            turn += 1
            act = rng.choice(acts)
            try:
                act(rng, f"{self.seed}-{number}-{turn}")
            except (UnexpectedAnswerError, TimeoutError) as error:
                if not self.lossy:
                    self.problems.add(f"{act.__name__.lstrip('_')}: {error}")
            except httpx2.TransportError:
                continue  # a stream that broke

    def _some(self, rng: random.Random, count: tuple[int, int] = BATCH) -> list[str]:
        return rng.choices(self.texts, k=rng.randint(*count))

    def _single(self, rng: random.Random, key: str) -> None:
        self.submit([rng.choice(self.texts)], key)

    def _batch(self, rng: random.Random, key: str) -> None:
        terms = {"webhook": True} if rng.random() < SHARE_WITH_WEBHOOK else {}
        self.submit(self._some(rng), key, **terms)

    def _upload(self, rng: random.Random, key: str) -> None:
        slow = rng.random() < SHARE_OF_SLOW_UPLOADS
        self._send_lines(self._some(rng, UPLOAD), key, "/v1/jobs?summarize_by=shop", slow=slow)

    def _send_lines(self, texts: Sequence[str], key: str, path: str, *, slow: bool = False) -> Sent:
        lines = [
            json.dumps({"text": text, "id": f"{key}-{number}", "data": {"shop": number % SHOPS}})
            for number, text in enumerate(texts)
        ]
        headers = {"content-type": "application/x-ndjson"}
        content = partial(slowly, lines) if slow else "\n".join(lines).encode()
        answer = self._accepted(
            path, key, content=content, headers=headers, refused=lambda: self.refused.append(len(texts))
        )
        return self._remember(Sent(key, texts, answer["id"], "upload"))

    def _canceled(self, rng: random.Random, key: str) -> None:
        sent = self.submit(self._some(rng, UPLOAD), key, webhook=True)
        sent.canceled = True
        self.caller.call("POST", f"/v1/jobs/{sent.job_id}/cancel", (200, 202))

    def _deleted(self, rng: random.Random, key: str) -> None:
        sent = self.submit(self._some(rng), key)
        sent.deleted = True
        # 410: an earlier call deleted it, whose answer got lost.
        self.caller.call("DELETE", f"/v1/jobs/{sent.job_id}", (204, 410))

    def _followed(self, rng: random.Random, key: str) -> None:
        sent = self.submit(self._some(rng), key)
        lines = self.caller.lines(f"/v1/jobs/{sent.job_id}/results?follow=true")
        items = [json.loads(line) for line in lines if line.strip()]
        end = items.pop() if items and items[-1].get("object") == "end" else {}
        indexes = sorted(item["index"] for item in items)
        if len(set(indexes)) != len(indexes):
            self.problems.add(f"a follower got an item twice: {sent.job_id}")
        if end.get("complete") and indexes != list(range(len(sent.texts))):
            self.problems.add(f"a follower got {len(indexes)} of {len(sent.texts)} items: {sent.job_id}")

    def _retried(self, rng: random.Random, key: str) -> None:
        """Upload more than can be scored in a second, and retry what was not.

        A document that cannot meet its deadline would be refused.
        """
        texts = self._some(rng, UPLOAD)
        sent = self._send_lines(texts, key, "/v1/jobs?summarize_by=shop&deadline_s=1")
        sent.short = True
        job = self.finished(sent.job_id)
        if not job["counts"]["timed_out"]:
            return
        items = self.results(sent.job_id)
        texts = [sent.texts[item["index"]] for item in items if item["status"] == "timed_out"]
        answer = self._accepted(f"/v1/jobs/{sent.job_id}/retry", f"{key}-again")
        self._remember(Sent(f"{key}-again", texts, answer["id"], "retry"))

    def finished(self, job_id: str) -> dict[str, Any]:
        """Return a job when it has finished. Raises TimeoutError if that takes too long.

        An API process that stops, or has no Redis to listen to, answers a wait at once.
        """
        end = time.monotonic() + FINISHED_S
        while True:
            answer = self.caller.call("GET", f"/v1/jobs/{job_id}", (200,), headers={"prefer": "wait=10"})
            job: dict[str, Any] = answer.json()
            if job["finished_at"]:
                return job
            if time.monotonic() > end:
                raise TimeoutError(f"{job_id} is {job['status']}, {job['counts']}")
            time.sleep(PAUSE_S[0])

    def results(self, job_id: str) -> list[dict[str, Any]]:
        """Return all results of a finished job."""
        page = self.caller.call("GET", f"/v1/jobs/{job_id}/results?limit=1000", (200,)).json()
        found: list[dict[str, Any]] = page["data"]
        return found
