"""What the servers of peers share: the model by transformers, and the settings that the benchmark passes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

PORT = int(os.environ["PEER_PORT"])
CHECKPOINT = os.environ["PEER_CHECKPOINT"]
ADVISED = os.environ["PEER_ADVISED"] == "1"
CORES = len(os.sched_getaffinity(0))


# Its label and its probability. No TypedDict: servers that read annotations refuse those of Python 3.11.
Verdict = dict[str, Any]


class Scorer:
    """A text-classification pipeline of transformers, as its documents build it, on the CPU."""

    def __init__(self) -> None:
        # A server imports this module in processes that load no model, too.
        from transformers import pipeline  # noqa: PLC0415

        self._pipeline: Any = pipeline("text-classification", model=CHECKPOINT, device="cpu")

    def verdict(self, text: str) -> Verdict:
        """Return the verdict on one text."""
        return self.verdicts([text])[0]

    def verdicts(self, texts: Sequence[str]) -> list[Verdict]:
        """Return the verdicts on texts, which are padded to the longest of them and scored in one batch."""
        found: list[Verdict] = self._pipeline([*texts], batch_size=len(texts), truncation=True)
        return found
