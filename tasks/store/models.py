"""The registry of models: every model that a worker has served, until it is retired and its work is done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from tasks.errors import ModelRequiredError, NoModelError, UnknownModelError
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import MODELS, RETIRED
from tasks.store.workers import live_workers
from tasks.vocabulary.jobs import Queue
from tasks.vocabulary.options import DEFAULT_MAX_TOKENS

_FRESH_S = 0.5


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model of the registry. `pack` is that of its latest worker; `retiring`: no new jobs."""

    name: str
    pack: Mapping[str, Any]
    retiring: bool = False

    @property
    def max_tokens(self) -> int:
        """Return the tokens that it reads at once; a default if it does not say."""
        return int(self.pack.get("max_tokens", DEFAULT_MAX_TOKENS))


def register(store: JobStore, name: str, pack: Mapping[str, Any], *, starting: bool = False) -> bool:
    """Register a model unless it is registered; return whether it takes jobs.

    A worker that is `starting` replaces the description of the pack, and registers a retired model again. One
    that runs on replaces the description of a pack that no live worker serves any more.
    """
    args = {
        "model": name,
        "description": to_json(pack),
        "starting": starting or None,
        "replacing": starting or _is_abandoned(store, name, pack) or None,
    }
    return bool(store.run("register_model", args))


def _is_abandoned(store: JobStore, name: str, pack: Mapping[str, Any]) -> bool:
    """Return whether the registry describes another pack, and all live workers of the model serve others."""
    known = registered(store).get(name)
    if known is None or _identity(known.pack) == _identity(pack):
        return False
    serving = [_identity(worker.model) for worker in live_workers(store) if worker.serves == name]
    return bool(serving) and _identity(known.pack) not in serving


def _identity(pack: Mapping[str, Any]) -> tuple[Any, Any]:
    return pack.get("id"), pack.get("revision")


def retire(store: JobStore, name: str) -> tuple[int, int] | None:
    """Refuse new jobs of a model; return its unfinished items and open uploads, None if it is unknown.

    A call that finds neither removes the model from the registry.
    """
    queues = list(map(str, Queue.all_of(name)))
    answer = store.run("retire_model", {"model": name, "queues": queues})
    return (answer[0], answer[1]) if answer else None


def registered(store: JobStore) -> dict[str, RegisteredModel]:
    """Read the registry, by name."""
    return _read(store)[0]


def _read(store: JobStore) -> tuple[dict[str, RegisteredModel], set[str]]:
    """Return the registry by name, and the names of retired models, registered or not."""
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        pipe.hgetall(MODELS)
        pipe.smembers(RETIRED)
        described, members = pipe.execute()
    retired = {raw.decode() for raw in members}
    models = {
        (name := raw.decode()): RegisteredModel(name, from_json(pack), name in retired)
        for raw, pack in sorted(described.items())
    }
    return models, retired


class Models:
    """The registry for programs that serve callers, read at most twice a second."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._known: dict[str, RegisteredModel] = {}
        self._retired: set[str] = set()
        self._read_at = -_FRESH_S

    def all(self, *, max_age_s: float = _FRESH_S) -> Mapping[str, RegisteredModel]:
        """Return the registry; while Redis has none, because it lost its data, the last one that was read."""
        if time.monotonic() - self._read_at >= max_age_s:
            found, self._retired = _read(self._store)
            kept = {name: model for name, model in self._known.items() if name not in self._retired}
            self._known, self._read_at = found or kept, time.monotonic()
        return self._known

    @property
    def names(self) -> list[str]:
        """Return the names of the registered models, and of the default model unless it was retired."""
        default, known = self._store.settings.default_model, set(self.all())
        return sorted(known | ({default} - self._retired - {""}))

    @property
    def default(self) -> str | None:
        """Return the model of jobs that name none; None while they have to."""
        names = self._open()
        return self._store.settings.default_model or (names[0] if len(names) == 1 else None)

    def resolve(self, name: str) -> str:
        """Return the model of a job that asks for `name`; if that is empty, the default.

        Raises UnknownModelError, ModelRequiredError or NoModelError.
        """
        default = self._store.settings.default_model
        wanted = name or default
        names = self._open()
        if wanted not in names if wanted else not names:
            names = self._open(max_age_s=0)
        if wanted in names or (wanted == default != "" and wanted not in self._retired):
            return wanted  # jobs for the default model may wait for its first worker
        if wanted:
            raise UnknownModelError(wanted, names)
        if not names:
            raise NoModelError
        if len(names) > 1:
            raise ModelRequiredError(names)
        return names[0]

    def others(self, name: str) -> list[str]:
        """Return the names of the models that take jobs, without one."""
        return [other for other in self._open() if other != name]

    def max_tokens(self, name: str) -> int:
        """Return the tokens that a model reads at once; a default while no worker has said it."""
        model = self.all().get(name)
        return model.max_tokens if model else DEFAULT_MAX_TOKENS

    def reads(self, name: str) -> str | None:
        """Return what a model reads, `text` or `pair`; None while no worker has said it."""
        model = self.all().get(name)
        return model.pack.get("input") if model else None

    @property
    def pair_models(self) -> list[str]:
        """Return the names of the models that read pairs."""
        return [name for name in self._open() if self.reads(name) == "pair"]

    def _open(self, max_age_s: float = _FRESH_S) -> list[str]:
        return [name for name, model in self.all(max_age_s=max_age_s).items() if not model.retiring]
