"""Runs the plan of a seed against a stack of its own."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from samples.shipped import read_reviews
from tasks.settings import EMBEDDED_PACK
from tests.attacks.cluster import Cluster, running_cluster
from tests.attacks.test_recovery import await_whole
from tests.conftest import eventually
from tests.faults.caller import PATIENCE_S, Caller, Problems, UnexpectedAnswerError
from tests.faults.checks import Checks, items_of, verdict_of
from tests.faults.kinds import KINDS
from tests.faults.kinds.kind import Mend, alive, all_of
from tests.faults.load import Load
from tests.faults.plan import Step
from tests.faults.planted.defects import environment
from tests.webhooks.receiver import Receiver, receiving

WORKERS, CHILDREN = 2, 2
TEXTS = 200
PROBES = 4  # enough to meet both API processes
LEASE_S = 5
WOKEN_S = 20.0  # a lost wake-up is missed after three seconds; a busy machine takes longer to score
ENDS_S = 60.0  # an API process lets its calls end, which may wait for half a minute
TIME_LIMIT_S = 15  # longer than a child is stopped for
SETTINGS = {
    "SENTIMENT_API_PROCESSES": "2",
    "SENTIMENT_CONCURRENCY": str(CHILDREN),
    "SENTIMENT_CACHE_ROWS": "0",  # every text is computed: faults are to hit work, not memories of it
    "SENTIMENT_LEASE_S": str(LEASE_S),
    "SENTIMENT_TASK_TIME_LIMIT_S": str(TIME_LIMIT_S),
    "SENTIMENT_WEBHOOK_ALLOW": "127.0.0.1",
    "SENTIMENT_WEBHOOK_RETRIES_S": "0.5,1,2,4,8,8,8",
    "SENTIMENT_RATE_PER_S": "100000",
    "SENTIMENT_RATE_BURST": "100000",
    "SENTIMENT_TARGET_WAIT_INTERACTIVE_S": "100000",
    "SENTIMENT_TARGET_WAIT_BULK_S": "100000",
}


@dataclass(frozen=True)
class Result:
    """What came of a step: `recovered_s` until new texts had verdicts, `over_s` until all was checked."""

    step: Step
    items: int
    recovered_s: float
    over_s: float
    problems: Sequence[str] = field(default_factory=list)
    skipped: str = ""
    lost: Sequence[str] = ()  # the scripts whose answers got lost


class Campaign:
    """A running stack, the verdicts that it gives when nothing is broken, and what its clients know."""

    def __init__(self, cluster: Cluster, receiver: Receiver) -> None:
        self.cluster = cluster
        self.problems = Problems()
        self._receiver = receiver
        self._caller = Caller(cluster.url, self.problems)
        self._texts = texts()
        self._accepted: list[str] = []
        self._checks: Checks

    def settle(self) -> None:
        """Take the verdicts of a calm service, and note what it keeps for ever."""
        await_whole(self.cluster)
        load = self._load(Step((), 0, 0, 0))
        job = load.submit(self._texts, "calm", webhook=True)
        load.finished(job.job_id)
        calm = dict(zip(self._texts, map(verdict_of, load.results(job.job_id)), strict=True))
        self._checks = Checks(self.cluster, self.problems, calm, self._receiver)
        self._checks.job(load, job)
        self._delete([job.job_id])
        self._baseline = self._checks.lasting_keys()

    def run(self, step: Step) -> Result:
        """Break what the step names under load, mend it, and check."""
        if lacking := next(filter(None, (KINDS[kind].lacks() for kind in step.kinds)), ""):
            return Result(step, 0, 0, 0, skipped=lacking)
        self._caller.patience_s = PATIENCE_S + step.lasts_s
        before, load = self._checks.read_counters(), self._load(step)
        if not step.is_calm:
            load.start()
        for poison in step.poisons:
            self._attempt("not sent", partial(load.send, poison))
        time.sleep(step.pause_s)
        mend = self._break(step)
        if step.is_calm:
            self._attempt("not sent", partial(load.send_all, "calm"))
        time.sleep(step.lasts_s)
        mend()
        self._await_ends()
        ended = time.monotonic()
        if step.is_calm:
            self._attempt("not woken", lambda: self._await_calmly(load))
        self._attempt("no verdict", lambda: self._probe(load))
        recovered_s = time.monotonic() - ended
        load.stop()
        self._attempt("not whole", lambda: await_whole(self.cluster))
        self._check(load, before)
        over_s, problems = time.monotonic() - ended, self.problems.take()
        return Result(step, items_of(load.sent), recovered_s, over_s, problems, lost=self._lost())

    def finish(self) -> Sequence[str]:
        """Delete every job, and check that nothing is left."""
        self._attempt("not deleted", lambda: self._delete(self._accepted))
        self._checks.keys(self._baseline)
        return self.problems.take()

    def close(self) -> None:
        self._caller.close()

    def _load(self, step: Step) -> Load:
        return Load(
            self._caller, self.problems, self._texts, self._receiver.url, step.seed, lossy=step.loses_data
        )

    def _break(self, step: Step) -> Mend:
        rng = random.Random(step.seed)
        # A fault of Redis comes last and is mended first: others speak to Redis.
        kinds = sorted((KINDS[name] for name in step.kinds), key=lambda kind: kind.part == "redis")
        return all_of([kind.breaks(self.cluster, rng) for kind in kinds])

    def _await_ends(self) -> None:
        """Wait until what was told to end has ended: else it would do so under the next fault."""
        ending, self.cluster.ending = self.cluster.ending, []
        try:
            eventually(lambda: not any(map(alive, ending)), within_s=ENDS_S)
        except AssertionError:
            left = [process.pid for process in ending if alive(process)]
            self.problems.add(f"{left} still run {ENDS_S:.0f} s after they were told to end")

    def _await_calmly(self, load: Load) -> None:
        """Wait until all that was sent has finished: no new job wakes a child for it."""
        await_whole(self.cluster)
        ready = time.monotonic()
        for sent in load.sent:
            load.finished(sent.job_id)
        if (woken_s := time.monotonic() - ready) > WOKEN_S:
            self.problems.add(f"lost wake-ups were missed for {woken_s:.0f} s")

    def _probe(self, load: Load) -> None:
        """Wait for the verdicts of new texts, which every API process accepts."""

        def probe(number: int) -> None:
            sent = load.submit([self._texts[number]], f"probe-{load.seed}-{number}")
            load.finished(sent.job_id)

        with ThreadPoolExecutor(PROBES) as callers:
            list(callers.map(probe, range(PROBES)))

    def _check(self, load: Load, before: Mapping[str, int]) -> None:
        with ThreadPoolExecutor(PROBES) as callers:
            list(callers.map(partial(self._checks.job, load), load.sent))
        accepted = [sent.job_id for sent in load.sent]
        closed, self._caller.closed = self._caller.closed - set(accepted), set()
        # Redis may have lost a closed one too: to ask for it would count it as lost.
        items = items_of(load.sent) + sum(map(self._total, () if load.lossy else closed))
        self._checks.counters(before, items, sum(load.refused), lossy=load.lossy)
        self._checks.orphans()
        self._accepted += [*accepted, *closed]

    def _total(self, job_id: str) -> int:
        """Return how many items a job has that ended before all of its upload came."""
        total: int = self._caller.call("GET", f"/v1/jobs/{job_id}", (200,)).json()["counts"]["total"]
        return total

    def _lost(self) -> Sequence[str]:
        """Return which scripts lost an answer since it was asked last."""
        names = {name for link in self.cluster.links.values() for name in link.lost}
        for link in self.cluster.links.values():
            link.lost.clear()
        return sorted(names)

    def _delete(self, job_ids: Sequence[str]) -> None:
        # 404 and 410: it was deleted before, or Redis lost it.
        for job_id in job_ids:
            self._caller.call("DELETE", f"/v1/jobs/{job_id}", (204, 404, 410))

    def _attempt(self, what: str, act: Callable[[], None]) -> None:
        try:
            act()
        except (AssertionError, TimeoutError, UnexpectedAnswerError) as error:
            self.problems.add(f"{what}: {error}")


@contextmanager
def running_campaign(folder: Path, **settings: str) -> Iterator[Campaign]:
    """Run a stack whose log and data are in a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    pack = folder / "pack"
    shutil.copytree(EMBEDDED_PACK, pack)
    own = SETTINGS | environment() | {"SENTIMENT_PACK": str(pack)} | settings
    with receiving(Receiver()) as receiver, running_cluster(folder, workers=WORKERS, **own) as cluster:
        campaign = Campaign(cluster, receiver)
        try:
            campaign.settle()
            yield campaign
        finally:
            campaign.close()
    shutil.rmtree(pack)
    shutil.rmtree(folder / "redis")


def texts() -> Sequence[str]:
    """Return different texts of usual lengths."""
    return list(dict.fromkeys(review.text for review in read_reviews()))[:TEXTS]
