"""Which commands count as steps, and which begin a part of a program that forgets the part before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.store import keys
from tasks.vocabulary.jobs import Queue, QueueClass
from tests.faults.actors import MODEL_NAME
from tests.faults.stepping import Command

IDLE_QUEUE = Queue(MODEL_NAME, QueueClass.INTERACTIVE)
# Commands whose effect nobody else can see, and whose answer nobody else can change, are no steps: those on
# these keys, what never changes in the record of a job, the clock, which a fault may move before, and what
# only heals counts.
PRIVATE_KEYS = {
    *(keys.RECONCILER, keys.DEFERRED, keys.UPLOADS, keys.OPEN_JOBS, keys.MODELS, keys.RETIRED),
    *(keys.WORKERS, keys.USAGE_OWNERS, keys.UNSETTLED, keys.ready_key(MODEL_NAME)),
    *(keys.leased_key(IDLE_QUEUE), keys.waiting_key(IDLE_QUEUE)),
}
PRIVATE_FIELDS = {"queue", "format"}
PRIVATE_SCRIPTS = {"free_expired", "reset_backlog"}
READS = {
    *("TIME", "GET", "HGET", "HGETALL", "HLEN", "LLEN", "SMEMBERS"),
    *("ZCARD", "ZCOUNT", "ZRANGE", "ZRANGEBYSCORE", "ZSCORE"),
}
# The parts of a round: what dead children held, what lapsed, who became ready, which wake-ups are lost, and
# the rest; and each lease of a child. All of them know when the round began, and nothing else.
SECTIONS: set[tuple[str, ...]] = {
    ("SET", keys.RECONCILER),
    ("ZRANGE", keys.leased_key(IDLE_QUEUE)),
    ("SET", keys.ready_key(MODEL_NAME)),
    ("ZRANGE", keys.waiting_key(IDLE_QUEUE), "0", "0"),
}
SECTION_SCRIPTS = {"lease_chunks", "reset_backlog"}


@dataclass(frozen=True)
class Steps:
    """Tells commands apart; `names` are those of the scripts, by digest."""

    names: Mapping[str, str]

    def is_private(self, command: Command | None) -> bool:
        """Return whether a command is no step of its own, but part of the one before."""
        words = command.words if command else []
        if len(words) == 1:
            return words == ["TIME"]
        of_record = words[0] == "HGET" and words[2] in PRIVATE_FIELDS
        return words[1] in PRIVATE_KEYS or of_record or self.names.get(words[1]) in PRIVATE_SCRIPTS

    def begins_section(self, command: Command) -> bool:
        """Return whether what comes from here on depends on no answer before, but the round's time."""
        words = command.words
        of_script = len(words) > 1 and self.names.get(words[1]) in SECTION_SCRIPTS
        return of_script or not SECTIONS.isdisjoint({tuple(words[:2]), tuple(words[:4])})
