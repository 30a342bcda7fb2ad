"""Owners as operators see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.schemas import owners as bodies
from tasks.store.jobs import JobStore
from tasks.store.owners import OwnerState, read_owners


def owners_view(store: JobStore, models: Sequence[str], names: Mapping[str, str]) -> bodies.Owners:
    """Return the body of all owners; `names` are those of their keys."""
    data = [_view(state, names.get(state.owner)) for state in read_owners(store, models)]
    return {"object": "list", "data": data}


def _view(state: OwnerState, name: str | None) -> bodies.Owner:
    return {
        "object": "owner",
        "owner": state.owner,
        "name": name,
        "weight": state.weight,
        "pending_items": max(0, state.pending_items),
        "paused_items": state.paused_items,
        "open_jobs": state.open_jobs,
        "kept_bytes": state.kept_bytes,
        "queues": [
            {
                "model": each.queue.model,
                "priority": each.queue.queue_class,
                "items": max(0, each.items),
                "share": round(each.share, 4),
                "eta_s": None if each.eta_s is None else round(each.eta_s, 1),
            }
            for each in state.queues
        ],
    }
