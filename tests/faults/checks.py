"""What must hold when a fault is over: for each job, for all of them together, and for the stack."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from tasks.store.deliveries import LEASE_S
from tasks.store.keys import COUNTERS, job_key
from tests.api.test_summary import recounted, told
from tests.attacks.cluster import Cluster
from tests.conftest import INT8_TOLERANCE, eventually
from tests.faults.caller import Problems, UnexpectedAnswerError, code_of
from tests.faults.kinds.kind import Poison
from tests.faults.load import Load, Sent
from tests.webhooks.receiver import Receiver

MAX_ATTEMPTS = 3
ASKED = 8  # enough to meet both API processes
SETTLED_S = 30.0
# What a killed sender had leased is sent again when the lease has ended.
DELIVERED_S = LEASE_S + SETTLED_S
OUR_KEYS = "sentiq*"
# What lasts: the audit log, rates and turns of a queue, and what Celery redelivers after minutes.
LASTING = ("sentiq:audit", "sentiq:backlog:", "sentiq:tags:", "sentiq:unacked")

Verdict = tuple[str, float]


def verdict_of(item: Mapping[str, Any]) -> Verdict:
    return (item["label"], item["confidence"])


@dataclass
class Checks:
    """Compares what the service says of jobs with what its clients know."""

    cluster: Cluster
    problems: Problems
    calm: Mapping[str, Verdict]
    receiver: Receiver
    lost: set[str] = field(default_factory=set)  # the jobs of this step that Redis lost

    def job(self, load: Load, sent: Sent) -> None:
        """Check one job, if it is still there."""
        try:
            if sent.deleted:
                self._gone(load, sent, {"job_deleted"})
            elif not (load.lossy and self._is_lost(load, sent)):
                self._whole(load, sent)
        except (UnexpectedAnswerError, TimeoutError) as error:
            self.problems.add(f"{sent.how} {sent.job_id}: {error}")

    def _gone(self, load: Load, sent: Sent, codes: set[str]) -> None:
        answer = load.caller.call("GET", f"/v1/jobs/{sent.job_id}", (200, 404, 410))
        if code_of(answer) == "job_lost":
            self.lost.add(sent.job_id)
        if code_of(answer) not in codes and not load.lossy:
            self.problems.add(f"{sent.job_id}: {answer.status_code} {code_of(answer)}, not {codes}")

    def _is_lost(self, load: Load, sent: Sent) -> bool:
        """Return whether Redis lost a job; every API process must say so."""
        path = f"/v1/jobs/{sent.job_id}"
        answers = [load.caller.call("GET", path, (200, 404, 410)) for _ in range(ASKED)]
        codes = {code_of(answer) for answer in answers}
        if len(codes) > 1 or not codes <= {"", "job_lost"}:
            self.problems.add(f"{sent.job_id}: API processes answer {codes}")
        if codes != {""}:
            self.lost.add(sent.job_id)
        return codes != {""}

    def _whole(self, load: Load, sent: Sent) -> None:
        job, items = load.finished(sent.job_id), load.results(sent.job_id)
        name = f"{sent.how} {sent.job_id}"
        if [item["index"] for item in items] != list(range(len(sent.texts))):
            self.problems.add(f"{name}: {len(items)} outcomes of {len(sent.texts)} items")
            return
        for text, item in zip(sent.texts, items, strict=True):
            self._item(name, sent, text, item)
        statuses = Counter(item["status"] for item in items)
        counted = {status: count for status, count in job["counts"].items() if count and status != "total"}
        if counted != statuses or job["counts"]["total"] != len(items):
            self.problems.add(f"{name}: counts {job['counts']} of {dict(statuses)}")
        summary = load.caller.call("GET", f"/v1/jobs/{sent.job_id}/summary", (200,)).json()
        if told(summary) != recounted(items):
            self.problems.add(f"{name}: its summary differs from its results")
        if sent.webhook and not load.lossy:
            self._delivered(name, sent)

    def _item(self, name: str, sent: Sent, text: str, item: Mapping[str, Any]) -> None:
        number = item["index"]
        if sent.how != "retry" and item["id"] != f"{sent.key}-{number}":
            self.problems.add(f"{name}: item {number} has the id {item['id']}")
        if poison := sent.poison.get(number):
            self._poisoned(name, poison, item)
        elif item["status"] == "succeeded":
            label, confidence = self.calm[text]
            if item["label"] != label or abs(item["confidence"] - confidence) > INT8_TOLERANCE:
                self.problems.add(f"{name}: item {number} is {verdict_of(item)}, calm {self.calm[text]}")
        elif not (
            (item["status"] == "canceled" and sent.canceled) or (item["status"] == "timed_out" and sent.short)
        ):
            self.problems.add(f"{name}: item {number} ended with {item['error']['code']}")
        if (item["attempts"] or 0) > MAX_ATTEMPTS:
            self.problems.add(f"{name}: item {number} had {item['attempts']} attempts")

    def _poisoned(self, name: str, poison: Poison, item: Mapping[str, Any]) -> None:
        """Check that a text that does harm is given up after all attempts, and no sooner."""
        code = (item["error"] or {}).get("code")
        if item["status"] != "failed" or code not in poison.codes or item["attempts"] != MAX_ATTEMPTS:
            self.problems.add(
                f"{name}: the harmful text is {item['status']} {code} after {item['attempts']} attempts"
            )

    def _delivered(self, name: str, sent: Sent) -> None:
        def ids() -> set[str]:
            return {
                hook.headers["webhook-id"]
                for hook in self.receiver.received
                if hook.json["data"]["id"] == sent.job_id
            }

        try:
            found = eventually(ids, within_s=DELIVERED_S)
        except AssertionError:
            self.problems.add(f"{name}: its webhook did not come")
        else:
            if len(found) != 1:
                self.problems.add(f"{name}: its webhook came under {len(found)} ids")

    def counters(self, before: Mapping[str, int], items: int, refused: int, *, lossy: bool) -> None:
        """Check that as many items were admitted as finished, and as the jobs have if Redis lost none.

        `refused` is how many items were in uploads that were refused because Redis did not answer in time.
        Redis may record some of them later, until it erases the upload: they are admitted, and then deleted.
        """

        base = {} if lossy else before

        def grown() -> tuple[int, int]:
            now = self.read_counters()
            admitted, finished = (total(now, kind) - total(base, kind) for kind in ("admitted", "items"))
            return admitted, finished

        try:
            eventually(lambda: len(set(grown())) == 1, within_s=SETTLED_S)
        except AssertionError:
            self.problems.add("{} items admitted, {} finished".format(*grown()))
            return
        admitted, _ = grown()
        if not lossy and not items <= admitted <= items + refused:
            self.problems.add(f"{admitted} items counted, {items} in the jobs")
        self._lost_jobs(before.get("lost", 0))

    def _lost_jobs(self, before: int) -> None:
        """Check that each job that was lost is counted once; the count itself may have been lost before."""
        jobs, self.lost = len(self.lost), set()
        counted = self.read_counters().get("lost", 0)
        if counted not in {jobs, before + jobs} or (not jobs and counted > before):
            self.problems.add(f"{jobs} jobs lost, sentiq_lost_total went from {before} to {counted}")

    def read_counters(self) -> dict[str, int]:
        client: Any = redis.Redis.from_url(self.cluster.redis_url)
        return {name.decode(): int(count) for name, count in client.hgetall(COUNTERS).items()}

    def job_keys(self) -> set[str]:
        """Return the keys of jobs that are there."""
        client: Any = redis.Redis.from_url(self.cluster.redis_url)
        return {key.decode() for key in client.scan_iter(f"{job_key('')}*", count=1000)}

    def lasting_keys(self) -> set[str]:
        """Return our keys that have no lifetime and need none."""
        client: Any = redis.Redis.from_url(self.cluster.redis_url)
        keys = {key.decode() for key in client.scan_iter(OUR_KEYS, count=1000) if client.ttl(key) == -1}
        return {key for key in keys if not key.startswith(LASTING)}

    def keys(self, baseline: set[str]) -> None:
        """Check that nothing of a job is left, and nothing without a lifetime that was not there before."""
        expected = {plain(key) for key in baseline}

        def left() -> list[str]:
            lasting = {key for key in self.lasting_keys() if plain(key) not in expected}
            return sorted(lasting | self.job_keys())

        try:
            eventually(lambda: not left(), within_s=SETTLED_S)
        except AssertionError:
            self.problems.add(f"keys that are left: {left()[:10]}")

    def orphans(self) -> None:
        """Check that each process of the stack descends from one that is watched."""
        try:
            eventually(lambda: not self.cluster.orphans(), within_s=SETTLED_S)
        except AssertionError:
            names = [" ".join(process.cmdline())[:80] for process in self.cluster.orphans()]
            self.problems.add(f"orphans: {names}")


def plain(key: str) -> str:
    """Return a key without what differs between workers."""
    return re.sub(r"[0-9a-f]{8,}[^:]*", "…", key)


def total(counters: Mapping[str, int], kind: str) -> int:
    return sum(count for name, count in counters.items() if name.startswith(f"{kind}:"))


def items_of(sent: Sequence[Sent]) -> int:
    return sum(len(each.texts) for each in sent)
