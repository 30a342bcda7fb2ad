"""Pauses as operators and callers see them."""

from __future__ import annotations

from collections.abc import Iterable

from api.schemas import pauses as bodies
from api.schemas.times import rfc3339
from tasks.store.jobs import JobStore
from tasks.store.pauses import paused_items, read_pauses
from tasks.vocabulary.pauses import Pause, PauseKind


def pauses_view(store: JobStore) -> bodies.Pauses:
    """Return the body of all pauses."""
    found = read_pauses(store)
    items = paused_items(store, [pause.target for pause in found])
    return {"object": "list", "data": [_view(pause, items[pause.target]) for pause in found]}


def known_pauses_view(pauses: Iterable[Pause], owner: str) -> list[bodies.KnownPause]:
    """Return those that an owner may know: its own, and those of classes and models."""
    return [
        known_pause_view(pause)
        for pause in pauses
        if pause.target.kind is not PauseKind.OWNER or pause.target.name == owner
    ]


def known_pause_view(pause: Pause) -> bodies.KnownPause:
    """Return a pause as callers see it."""
    return {"kind": pause.target.kind, "name": pause.target.name, "since": rfc3339(pause.since_ms)}


def _view(pause: Pause, items: int) -> bodies.Pause:
    return {
        "object": "pause",
        "target": str(pause.target),
        "kind": pause.target.kind,
        "name": pause.target.name,
        "since": rfc3339(pause.since_ms),
        "by": pause.by,
        "reason": pause.reason or None,
        "items": items,
    }
