"""Defects that the campaign must find. Each replaces something when its module is imported.

`sitecustomize` plants them into programs before anything of theirs is imported, so this imports none of it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

Patch = Callable[[Any], None]


@dataclass(frozen=True)
class Defect:
    """A defect: what it is, the module that it changes, and the faults that bring it to light."""

    what: str
    module: str
    patch: Patch
    kinds: Sequence[str]


def script(name: str, right: str, wrong: str) -> Patch:
    """Replace a part of a Lua script, or of what scripts include. Raises ValueError if it is not there."""

    def patch(module: Any) -> None:
        read_text = type(module.LUA).read_text

        class Planted(type(module.LUA)):  # type: ignore[misc]  # a Path of this platform
            def read_text(self, *args: Any, **options: Any) -> str:
                text: str = read_text(self, *args, **options)
                if self.stem != name:
                    return text
                if right not in text:
                    raise ValueError(f"{name}.lua has no {right!r}")
                return text.replace(right, wrong)

        module.LUA = Planted(module.LUA)

    return patch


def all_of(*patches: Patch) -> Patch:
    """Apply several patches: what is defended in depth shows a defect only without all of them."""

    def patch(module: Any) -> None:
        for each in patches:
            each(module)

    return patch


def answer_before_recording(module: Any) -> None:
    create, job = module.JobStore.create, module.Job

    def planted(self: Any, job_id: str, terms: Any, chunks: Any, **options: Any) -> Any:
        try:
            return create(self, job_id, terms, chunks, **options)
        except module.StoreUnavailableError:
            total = sum(len(chunk.items) for chunk in chunks)
            return job.recorded(job_id, self._with_defaults(terms), total, 0)

    module.JobStore.create = planted


def forget_keys(module: Any) -> None:
    create = module.JobStore.create

    def planted(self: Any, *args: Any, key: Any = None, feed: Any = None, **options: Any) -> Any:
        return create(self, *args, key=key if feed else None, feed=feed, **options)

    module.JobStore.create = planted
    module.JobStore.remembered = nothing


def give_stale_logits(module: Any) -> None:
    logits = module.CheckedEngine.logits
    earlier: list[Any] = []

    def planted(self: Any, ids: Any, *rest: Any) -> Any:
        try:
            earlier[:] = [logits(self, ids, *rest)]
        except Exception:
            if not earlier:
                raise
        return np.resize(earlier[0], (len(ids), earlier[0].shape[1]))

    module.CheckedEngine.logits = planted


def replaced(owner: str, name: str, by: Callable[..., Any]) -> Patch:
    """Replace a method of a class of the module."""
    return lambda module: setattr(getattr(module, owner), name, by)


def give_up_early(module: Any) -> None:
    requeue = module.Reconciler._requeue

    def planted(self: Any, *chunk: Any) -> None:
        *given_up, attempts = chunk
        if attempts:
            self._give_up(*given_up)
        else:
            requeue(self, *chunk)

    module.Reconciler._requeue = planted


def keep_the_first_secret(module: Any) -> None:
    read = module.IdSecret._read

    def planted(self: Any) -> None:
        if not self._value:
            read(self)

    module.IdSecret._read = planted


def leave_attachments(module: Any) -> None:
    module.JOB_PARTS = tuple(part for part in module.JOB_PARTS if part != "attachments")


def wait_for_ever(module: Any) -> None:
    module.SOCKET_TIMEOUT_S = None


def nothing(*_: Any, **__: Any) -> None:
    pass


STORE = "tasks.store."
SCRIPTS = f"{STORE}scripts"
FENCE = "redis.call('HGET', job .. ':tokens', start) == tostring(args.token)"
FENCE_OF_CHUNK = FENCE.replace("job", "chunk.job").replace("start", "chunk.start")
DEFECTS: dict[str, Defect] = {
    "no_fence": Defect(
        "a child that lost its lease may renew it, and write over what others wrote",
        SCRIPTS,
        all_of(
            script("complete_chunk", f"return {FENCE}", "return true"),
            script("complete_chunk", "if redis.call('HEXISTS', job .. ':chunks', start) == 0", "if false"),
            script("renew_lease", f"if {FENCE_OF_CHUNK}", "if true"),
        ),
        ["children_stopped_past_their_leases", "child_stopped_past_its_lease"] * 2,
    ),
    "blind_repeat": Defect(
        "chunks of an upload are added again when the call is repeated",
        SCRIPTS,
        script("append_chunks", "args.chunks[1][1] < tonumber(record[4])", "false"),
        ["api_answers_lost"] * 3,
    ),
    "answered_before_recorded": Defect(
        "a job is accepted although Redis did not record it",
        f"{STORE}jobs",
        answer_before_recording,
        ["redis_without_replicas", "redis_read_only"],
    ),
    "stale_output": Defect(
        "a forward that fails gives the logits of an earlier one",
        "worker.engines.checked",
        give_stale_logits,
        ["child_starved"] * 16,
    ),
    "counted_twice": Defect(
        "an outcome is counted twice",
        SCRIPTS,
        script(
            "outcome",
            "  counters.add(chunk.counters, record[4])",
            "  counters.add(chunk.counters, record[4])\n" * 2,
        ),
        ["child_killed"],
    ),
    "forgotten_lease": Defect(
        "the chunks of a dead child stay leased",
        f"{STORE}reconciler",
        replaced("Reconciler", "_release", nothing),
        ["children_killed"] * 2,
    ),
    "lost_wakeup": Defect(
        "wake-ups that were lost are not published again",
        f"{STORE}lost_wakeups",
        all_of(
            replaced("LostWakeups", "republish", nothing),
            replaced("LostWakeups", "note_ready", nothing),  # it wakes children that start
        ),
        ["messages_lost_in_calm"],
    ),
    "given_up_early": Defect(
        "a text is given up when the first child dies with it",
        f"{STORE}reconciler",
        give_up_early,
        ["children_killed"] * 2,
    ),
    "forgotten_key": Defect(
        "an idempotency key makes a second job",
        f"{STORE}jobs",
        forget_keys,
        ["api_process_killed"] * 3,
    ),
    "stale_secret": Defect(
        "an API process keeps the secret of ids that Redis has lost",
        f"{STORE}id_secret",
        keep_the_first_secret,
        ["redis_back_without_data"],
    ),
    "parts_left": Defect(
        "a deleted job leaves a part of it behind",
        f"{STORE}keys",
        leave_attachments,
        ["child_killed"],
    ),
    "endless_wait": Defect(
        "a call to Redis waits for ever",
        f"{STORE}connection",
        wait_for_ever,
        ["api_links_half_open"],
    ),
}


class _Planter(MetaPathFinder):
    """Changes a module right after it was imported."""

    def __init__(self, module: str, patch: Patch) -> None:
        self._module, self._patch = module, patch

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> Any:  # noqa: ARG002
        if fullname != self._module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def plant_into(module: str, patch: Patch) -> None:
    """Change a module as soon as it is imported."""
    sys.meta_path.insert(0, _Planter(module, patch))


def plant(name: str) -> None:
    """Let a defect change its module as soon as that is imported; do nothing without a name."""
    if name:
        plant_into(DEFECTS[name].module, DEFECTS[name].patch)


def environment(name: str = "") -> dict[str, str]:
    """Return the variables that plant poison, and a defect if one is named, into a program."""
    path = filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])
    return {"PLANTED_DEFECT": name, "PYTHONPATH": os.pathsep.join(path)}
