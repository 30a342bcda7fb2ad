"""Jobs of three models in any order of events: every item is counted once, and nothing stays behind."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable

import pytest

from tasks.store import cancel, leases, models, uploads
from tasks.store.jobs import JobStore
from tasks.store.keys import COUNTERS, DEFERRED, OPEN_JOBS, RECONCILER, job_key, leased_key
from tasks.store.reconciler import Reconciler
from tasks.store.summaries import read_summary
from tasks.store.usage import total_usage, usage_owners
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import Queue, QueueClass, Terms
from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from tasks.vocabulary.verdicts import Scored, TooManyTokens, Verdict
from tests.verdicts import EMOTIONS, THREE

LABELS = {"a": NEGATIVE_POSITIVE, "b": THREE, "c": EMOTIONS}
MODEL = {"id": "x", "revision": "1", "engine": "none"}
CHILDREN = [leases.Holder(f"worker {name}", pid, 2, name) for name in LABELS for pid in (1, 2)]
EVENTS = 120


class World:
    """A store with three models, whose workers, callers and faults act in a random order."""

    def __init__(self, store: JobStore, seed: int) -> None:
        self.store, self.rng = store, random.Random(seed)
        self.owners: dict[str, str] = {}
        self._open: dict[str, tuple[Feed, int]] = {}
        self._held: dict[leases.Holder, leases.Lease] = {}
        for name, labels in LABELS.items():
            store.labels.record(f"{name}@1", labels)
            models.register(store, name, {"max_tokens": 128})

    def act(self) -> None:
        events: dict[Callable[[], None], int] = {
            self.create: 4,
            self.append: 3,
            self.lease: 8,
            self.finish: 5,
            self.give_back: 2,
            self.lose_children: 1,
            self.lose_leases: 1,
            self.cancel: 1,
            self.delete: 1,
            self.expire: 1,
            self.pass_time: 1,
        }
        self.rng.choices(list(events), list(events.values()))[0]()

    def chunks(self, job_id: str, start: int) -> list[Chunk]:
        made: list[Chunk] = []
        for size in self.rng.choices(range(1, 5), k=self.rng.randint(1, 4)):
            items = [
                Item.accept(self.rng.choice(["好", "", "不太好"]), 9, data=b"{}")._replace(
                    group=self.rng.randint(0, 2)
                )
                for _ in range(size)
            ]
            made.append(Chunk(job_id, start, items))
            start += size
        return made

    def create(self) -> None:
        owner = self.rng.choice(["anna", "ben", ""])
        job_id, feed = self.store.ids.issue(owner), Feed.begin("5eed", resumable=True)
        chunks, model = self.chunks(job_id, 0), self.rng.choice(list(LABELS))
        later = self.store.now_ms() + 3_600_000 if self.rng.random() < 0.2 else None
        queue_class = QueueClass.BULK if later else self.rng.choice(list(QueueClass))
        terms = Terms(model=model, queue_class=queue_class, owner=owner, not_before_ms=later)
        opened = self.rng.random() < 0.3
        self.store.create(
            job_id, terms, chunks, feed=feed if opened else None, groups=[(1, '"甲"'), (2, "2")]
        )
        self.owners[job_id] = owner
        if opened:
            self._open[job_id] = feed, sum(len(chunk.items) for chunk in chunks)

    def append(self) -> None:
        for job_id, (feed, total) in list(self._open.items())[:1]:
            chunks = self.chunks(job_id, total)
            if self.rng.random() < 0.3 or not uploads.append_chunks(
                self.store, chunks, feed, owner=self.owners[job_id]
            ):
                self._open.pop(job_id)
                uploads.close(self.store, job_id, feed=feed)
            else:
                self._open[job_id] = feed, total + sum(len(chunk.items) for chunk in chunks)

    def lease(self) -> None:
        child = self.rng.choice(CHILDREN)
        if held := leases.lease(self.store, child, self.rng.choice([0, 5, 20])):
            self._held[child] = held

    def outcome(self, item: Item, model: str) -> Outcome:
        if item.error:
            return item.error
        if self.rng.random() < 0.1:
            return ItemError.INFERENCE_FAILED if self.rng.random() < 0.5 else TooManyTokens(9, 8)
        weights = [self.rng.random() for _ in LABELS[model]]
        shares = dict(enumerate(weight / sum(weights) for weight in weights))
        return Verdict(LABELS[model], shares, 5, 6, uncertain=self.rng.random() < 0.3)

    def finish(self) -> None:
        for child, held in self.some_lease():
            results = [
                ChunkResult(
                    each.chunk,
                    [self.outcome(item, child.model) for item in each.chunk.items],
                    each.attempts,
                    f"{child.model}@1",
                )
                for each in held.chunks
            ]
            for _ in range(self.rng.randint(1, 2)):
                leases.finish(self.store, held, results, MODEL)

    def give_back(self) -> None:
        for _, held in self.some_lease():
            for each in held.chunks:
                reason, split = self.rng.choice(list(leases.ReturnReason)), self.rng.random() < 0.3
                leases.return_chunk(self.store, held, each, reason, split=split)

    def some_lease(self) -> list[tuple[leases.Holder, leases.Lease]]:
        """Return one lease, if any, which may have ended, and may be used again."""
        found = [self.rng.choice(list(self._held.items()))] if self._held else []
        for child, _ in found if self.rng.random() < 0.7 else []:
            self._held.pop(child)
        return found

    def reconcile(self, *alive: int) -> None:
        for name in LABELS:
            Reconciler(self.store, lambda *_: None, f"worker {name}", name).tick(alive)
            self.store.redis.delete(RECONCILER)

    def lose_children(self) -> None:
        self.reconcile(self.rng.choice([1, 2]))

    def lose_leases(self, share: float = 0.5) -> None:
        for queue in (queue for name in LABELS for queue in Queue.all_of(name)):
            for ref in self.store.redis.zrange(leased_key(queue), 0, -1):
                if self.rng.random() < share:
                    self.store.redis.zadd(leased_key(queue), {ref: 1})
        self.reconcile(1, 2)

    def some_job(self) -> list[tuple[str, str]]:
        return [self.rng.choice(list(self.owners.items()))] if self.owners else []

    def cancel(self) -> None:
        for job_id, _ in self.some_job():
            cancel.cancel_job(self.store, job_id, patience_s=self.rng.choice([0, 1]))

    def delete(self) -> None:
        for job_id, owner in self.some_job():
            cancel.delete_job(self.store, job_id, owner)
            self.owners.pop(job_id)
            self._open.pop(job_id, None)

    def expire(self) -> None:
        for job_id, owner in self.some_job():
            if not self.store.job(job_id, owner).status.terminal:
                self.store.redis.hset(job_key(job_id), "deadline", 1)
                self.store.redis.zadd(OPEN_JOBS, {job_id: 1})
                self.reconcile(1, 2)

    def pass_time(self) -> None:
        """Let the time come of all jobs that wait for one."""
        for job_id in self.store.redis.zrange(DEFERRED, 0, -1):
            self.store.redis.zadd(DEFERRED, {job_id: 1})
        self.reconcile(1, 2)

    def end(self) -> None:
        """Close all uploads and do all work that is left."""
        self.pass_time()
        for job_id, (feed, _) in self._open.items():
            uploads.close(self.store, job_id, feed=feed)
        while self.store.redis.exists(OPEN_JOBS):
            for child in CHILDREN:
                while held := leases.lease(self.store, child, 10**9):
                    self._held = {child: held}
                    self.finish()
            self.lose_leases(1)


def require_recount(world: World, job_id: str, owner: str) -> None:
    """Check that record, summary, and both orders of the results have each item once."""
    job, found = world.store.job(job_id, owner), read_summary(world.store, job_id)
    items = world.store.results(job_id, 0, 10**6).items
    finished = [item for chunk in world.store.results_by_completion(job_id, 0, 10**6) for item in chunk]
    assert sorted(item.index for item in finished) == [item.index for item in items]
    assert (len(items), job.counts.pending) == (job.counts.total, 0)
    verdicts = [item.outcome for item in items if isinstance(item.outcome, Verdict)]
    failed = Counter(
        "text_too_long" if isinstance(item.outcome, TooManyTokens) else str(item.outcome)
        for item in items
        if not isinstance(item.outcome, Scored)
    )
    assert Counter(found.errors) == failed
    assert +Counter(found.total.labels) == Counter(verdict.label for verdict in verdicts)
    assert found.total.uncertain == sum(verdict.uncertain for verdict in verdicts)
    assert found.total.items == len(items)
    assert found.other.items + sum(tally.items for _, tally in found.groups) == len(items)
    assert not world.store.redis.exists(job_key(job_id, "chunks"), job_key(job_id, "tokens"))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 11))])
def test_each_item_is_counted_once_and_nothing_stays(store_with: Callable[..., JobStore], seed: int) -> None:
    store = store_with(quota_items=10**6, target_wait_interactive_s=10**6, target_wait_bulk_s=10**6)
    world = World(store, seed)
    for _ in range(EVENTS):
        world.act()
    world.end()
    for job_id, owner in world.owners.items():
        require_recount(world, job_id, owner)
    counts = {name.decode(): int(count) for name, count in store.redis.hgetall(COUNTERS).items()}
    ended = sum(count for name, count in counts.items() if name.startswith("items:"))
    assert ended == sum(count for name, count in counts.items() if name.startswith("admitted:"))
    deleted = sum(count for name, count in counts.items() if re.fullmatch("items:.*:deleted", name))
    used = total_usage(store, usage_owners(store)).values()
    assert sum(usage.items for usage in used) == ended - deleted
    for name in LABELS:
        assert models.retire(store, name) == (0, 0)
    for job_id, owner in world.owners.items():
        cancel.delete_job(store, job_id, owner)
    kept = {key.decode() for key in store.redis.scan_iter() if store.redis.ttl(key) < 0}
    kept = {key for key in kept if not key.startswith("sentiq:usage")}  # it outlives jobs
    assert kept == {f"sentiq:{name}" for name in ("counters", "fence", "id_secret", "labels", "retired")}
