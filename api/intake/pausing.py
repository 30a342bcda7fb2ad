"""Pausing and resuming what operators name."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Container
from dataclasses import dataclass

from api.intake.submission import Submission
from tasks.errors import PauseTargetNotFoundError
from tasks.store import pauses
from tasks.store.all_jobs import job_owners
from tasks.store.audit import Author
from tasks.store.jobs import JobStore
from tasks.vocabulary.pauses import PauseKind, PauseTarget


@dataclass(frozen=True, slots=True)
class Pausing:
    """Pauses and resumes for one author. `is_key` says whether a key has an id."""

    store: JobStore
    submission: Submission
    models: Container[str]
    is_key: Callable[[str], bool]
    author: Author

    def pause(self, target: str, reason: str) -> None:
        """Pause a target, unless it is paused already. Raises PauseTargetNotFoundError if nothing is that."""
        parsed = PauseTarget.parse(target)
        if not self._is_known(parsed):
            raise PauseTargetNotFoundError(str(parsed))
        pauses.pause(self.store, parsed, self.author, reason)

    def resume(self, target: str) -> None:
        """Resume a target, if it is paused, and wake workers."""
        for model, chunks in pauses.resume(self.store, PauseTarget.parse(target), self.author):
            self.submission.wake(model, chunks, f"resumed {uuid.uuid4().hex}")

    def _is_known(self, target: PauseTarget) -> bool:
        if target.kind is PauseKind.MODEL:
            return target.name in self.models
        if target.kind is PauseKind.CLASS or not target.name:
            return True
        # A key that was revoked may have work that is not finished.
        return self.is_key(target.name) or target.name in job_owners(self.store)
