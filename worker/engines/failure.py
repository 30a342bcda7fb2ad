"""The error of a forward that failed for reasons of the engine's own.

A module of its own because a worker's child imports it before any model library is loaded.
"""

from __future__ import annotations


class EngineFailedError(Exception):
    """The engine raised, left logits unwritten, or gave known texts other logits than before.

    No text is at fault: another process may score the same texts. Not a SentiqError: no caller sees it.
    """
