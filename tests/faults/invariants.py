"""What must hold in every state of the store, and of every step between two states."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tasks.store.keys import COUNTERS, backlog_key, job_key, leased_key, pending_key, turns_key, waiting_key
from tasks.vocabulary.chunks import ChunkRef
from tasks.vocabulary.codec import decode_chunk
from tests.faults.actors import CLOCK, MAX_ATTEMPTS, QUEUE
from tests.faults.snapshots import Snapshot

STATUSES = ("succeeded", "failed", "timed_out", "canceled")
FENCED = ("complete_chunk", "renew_lease", "return_chunk")


class BrokenError(AssertionError):
    """An invariant does not hold."""


def require(condition: object, what: str) -> None:
    """Raise BrokenError unless the condition holds."""
    if not condition:
        raise BrokenError(what)


def check_state(snapshot: Snapshot, job_id: str) -> None:
    """Check that each item has one outcome or is in one chunk, which is pending or leased."""
    record = snapshot.hash(job_key(job_id))
    total = int(record["total"])
    chunks, results = _chunks(snapshot, job_id), _results(snapshot, job_id)
    covered = sorted(i for start, size in (*chunks, *results) for i in range(start, start + size))
    require(covered == list(range(total)), f"items {covered} of {total}: one is lost, or is there twice")
    done = sum(size for _, size in results)
    counted = sum(int(record.get(status, 0)) for status in STATUSES)
    require(counted == done, f"{counted} outcomes counted, {done} written")
    counters = snapshot.hash(COUNTERS)
    finished = sum(int(count) for name, count in counters.items() if name.startswith("items:"))
    require(finished == done, f"{finished} items in the counters, {done} outcomes")
    waiting = int(snapshot.hash(backlog_key(QUEUE)).get("items", 0))
    require(waiting == total - done, f"{waiting} items in the backlog, {total - done} without an outcome")
    _check_places(snapshot, job_id, {start for start, _ in chunks})


def _check_places(snapshot: Snapshot, job_id: str, chunks: set[int]) -> None:
    """Check that each chunk is pending or leased, once, and that a lease has a token."""
    pending = snapshot.content.get(pending_key(QUEUE), {})
    places = Counter(_start(ref) for ref in pending)
    leased = Counter(_start(ref) for ref in snapshot.content.get(leased_key(QUEUE), {}))
    places += Counter({start: count for start, count in leased.items() if start in chunks})
    require(places == Counter(chunks), f"chunks {sorted(chunks)} have the places {dict(places)}")
    tokens = {int(start) for start in snapshot.hash(job_key(job_id, "tokens"))}
    require(tokens == chunks & set(leased), f"tokens of {tokens}, leases of {sorted(leased)}")
    for key in (waiting_key(QUEUE), turns_key(QUEUE)):
        require(
            bool(pending) == bool(snapshot.content.get(key)), f"{key} does not agree with what is pending"
        )


def check_step(before: Snapshot, script: str, words: list[str], after: Snapshot, job_id: str) -> None:
    """Check that no outcome changes, and that a script that is fenced off changes nothing at all."""
    old, new = (each.hash(job_key(job_id, "results")) for each in (before, after))
    require(old.items() <= new.items(), f"{script} changed an outcome: {old} -> {new}")
    args = json.loads(words[3]) if script else {}
    tokens = before.hash(job_key(job_id, "tokens"))
    if script in FENCED and args.get("guard", "token") == "token" and not _holds(args, tokens):
        require(before.digest() == after.digest(), f"{script} with the old token {args['token']} wrote")
    if args.get("guard") == "lapsed" and not _lapsed(before, args["ref"]):
        require(before.digest() == after.digest(), f"{script} took a lease that had not ended")
    if script == "complete_chunk" and args["guard"] != "token":
        attempts = ChunkRef.parse(args["ref"].encode()).attempts
        require(attempts >= MAX_ATTEMPTS, f"given up after {attempts} attempts")


def _holds(args: dict[str, Any], tokens: dict[str, bytes]) -> bool:
    starts = [_start(ref) for ref in args.get("refs", [args.get("ref")])]
    return any(tokens.get(str(start)) == str(args["token"]).encode() for start in starts)


def _lapsed(snapshot: Snapshot, ref: str) -> bool:
    end_ms = snapshot.content.get(leased_key(QUEUE), {}).get(ref)
    return end_ms is not None and end_ms <= 1000 * int(snapshot.content[CLOCK])


def _chunks(snapshot: Snapshot, job_id: str) -> list[tuple[int, int]]:
    """Return start and size of each chunk without outcomes."""
    found = snapshot.hash(job_key(job_id, "chunks")).items()
    return [(int(start), len(decode_chunk(job_id, int(start), payload).items)) for start, payload in found]


def _results(snapshot: Snapshot, job_id: str) -> list[tuple[int, int]]:
    """Return start and size of each chunk with outcomes."""
    found = snapshot.hash(job_key(job_id, "results")).items()
    return [(int(start), int(payload.split(b" ", 1)[0])) for start, payload in found]


def _start(ref: str) -> int:
    return ChunkRef.parse(ref.encode()).start
