"""A reading of the job store that all who ask share."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from tasks.errors import SentiqError

T = TypeVar("T")

_FRESH_S = 1.0


class SharedReading(Generic[T]):
    """What `read` returned a second ago at most, or the error that it raised.

    Any number of callers costs one reading a second; those who come while it is made wait for it.
    """

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._reading = threading.Lock()
        self._read_at = -math.inf
        self._outcome: T | SentiqError

    def get(self) -> T:
        """Return the reading, or raise its error."""
        with self._reading:
            if time.monotonic() - self._read_at >= _FRESH_S:
                self._outcome = self._make()
                self._read_at = time.monotonic()
            outcome = self._outcome
        if isinstance(outcome, SentiqError):
            # Otherwise each caller would add its own frames to the traceback.
            raise outcome.with_traceback(None)
        return outcome

    def _make(self) -> T | SentiqError:
        try:
            return self._read()
        except SentiqError as error:
            return error
