"""A steady, mixed load by the client `sentiq`; each answer is checked."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sentiq import Item, Job, Sentiq

CLIENTS = 3
# Clients that do everything at once at the beginning: more than the load ever brings together.
CROWD = 12
EVERY_S = (
    2.0  # an act of each client. Redis keeps what came in the last minutes, so the rate has to be steady.
)
BULK, STREAM, UPLOAD = (5, 60), (20, 200), (50, 300)
SHOPS = 4
KEPT_S = 60
SHARE_DELETED = 0.5  # of jobs that were read: the others expire
PROBLEMS = 20  # of which so many are kept
JOIN_S = 120


Act = Callable[[Sentiq, random.Random], int]


class WrongAnswerError(Exception):
    """The service gave another number of verdicts, or another outcome, than it must."""


@dataclass
class Load:
    """Clients that run until `stop`. `done` counts acts and items; `problems` are what went wrong."""

    url: str
    hook: str
    texts: Sequence[str]
    done: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def crowd(self) -> None:
        """Let many clients do everything at once, and wait for them.

        Pools of connections keep as many as were ever in use together. The steady load would meet a new
        maximum only now and then, which looks like a slow leak.
        """
        with ThreadPoolExecutor(CROWD) as pool:
            list(pool.map(self._do_each, range(CLIENTS, CLIENTS + CROWD)))

    def start(self) -> None:
        """Start the clients."""
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each client end what it does."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(JOIN_S)
            if thread.is_alive():
                self._note(f"a client still waits after {JOIN_S} s")

    @property
    def _acts(self) -> Sequence[Act]:
        return (
            *(self._single, self._single, self._bulk, self._bulk, self._stream, self._upload),
            *(self._canceled, self._deleted, self._followed, self._hooked, self._looked),
        )

    def _do_each(self, number: int) -> None:
        rng = random.Random(number)
        with Sentiq(self.url) as client:
            for act in rng.sample(self._acts, len(self._acts)):
                self._do(act, client, rng)

    def _run(self, number: int) -> None:
        rng = random.Random(number)
        with Sentiq(self.url) as client:
            begun = time.monotonic() + EVERY_S * number / CLIENTS
            for turn in itertools.count():
                if self._stopping.wait(begun + turn * EVERY_S - time.monotonic()):
                    return
                self._do(rng.choice(self._acts), client, rng)

    def _do(self, act: Act, client: Sentiq, rng: random.Random) -> None:
        name = act.__name__.lstrip("_")
        try:
            items = act(client, rng)
        except Exception as error:  # noqa: BLE001  whatever it is, the soak has failed
            self._note(f"{name}: {type(error).__name__}: {error}")
        else:
            with self._lock:
                self.done[name] += 1
                self.done["items"] += items

    def _note(self, problem: str) -> None:
        with self._lock:
            if len(self.problems) < PROBLEMS:
                self.problems.append(problem)

    def _some(self, rng: random.Random, count: tuple[int, int]) -> list[Item]:
        texts = rng.choices(self.texts, k=rng.randint(*count))
        return [Item(text, id=str(n), data={"shop": n % SHOPS}) for n, text in enumerate(texts)]

    def _single(self, client: Sentiq, rng: random.Random) -> int:
        # By itself the client keeps a single text for an hour.
        verdict = client.score(rng.choice(self.texts), result_ttl_s=KEPT_S)
        require(verdict.ok, "a text has no verdict")
        return 1

    def _stream(self, client: Sentiq, rng: random.Random) -> int:
        texts = rng.choices(self.texts, k=rng.randint(*STREAM))
        return counted(sum(verdict.ok for verdict in client.score(iter(texts))), len(texts))

    def _bulk(self, client: Sentiq, rng: random.Random) -> int:
        items = self._some(rng, BULK)
        return read(client.submit(items, summarize_by="shop"), len(items), rng)

    def _upload(self, client: Sentiq, rng: random.Random) -> int:
        texts = rng.choices(self.texts, k=rng.randint(*UPLOAD))
        lines = [f"{json.dumps({'text': text})}\n".encode() for text in texts]
        return read(client.upload(lines), len(texts), rng)

    def _hooked(self, client: Sentiq, rng: random.Random) -> int:
        items = self._some(rng, BULK)
        return read(client.submit(items, webhook={"url": self.hook}), len(items), rng)

    def _followed(self, client: Sentiq, rng: random.Random) -> int:
        items = self._some(rng, BULK)
        job = client.submit(items)
        count = counted(sum(1 for _ in job.results(follow=True)), len(items))
        for _ in job.events():
            pass
        return count

    def _canceled(self, client: Sentiq, rng: random.Random) -> int:
        items = self._some(rng, UPLOAD)
        job = client.submit(items).cancel().wait(JOIN_S)
        return counted(job.counts.succeeded + job.counts.canceled, len(items))

    def _deleted(self, client: Sentiq, rng: random.Random) -> int:
        items = self._some(rng, BULK)
        client.submit(items).delete()
        return len(items)

    def _looked(self, client: Sentiq, rng: random.Random) -> int:
        rng.choice((client.models, client.info, client.queue, client.usage))()
        return 0


def read(job: Job, expected: int, rng: random.Random) -> int:
    """Read all verdicts of a job when it has ended, and delete it at times; return how many there were."""
    job.wait(JOIN_S)
    found = counted(sum(verdict.ok for verdict in job.results()), expected)
    if rng.random() < SHARE_DELETED:
        job.delete()
    return found


def counted(found: int, expected: int) -> int:
    """Return how many there are. Raises WrongAnswerError unless all are."""
    require(found == expected, f"{found} verdicts of {expected} items")
    return found


def require(condition: object, what: str) -> None:
    """Raise WrongAnswerError unless the condition holds."""
    if not condition:
        raise WrongAnswerError(what)
