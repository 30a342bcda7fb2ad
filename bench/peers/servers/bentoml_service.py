"""BentoML: a service with an API of single texts; as advised, a worker a core and adaptive batches."""

from __future__ import annotations

from typing import Any

import bentoml

from bench.peers.servers.scorer import ADVISED, CORES, Scorer

_TRAFFIC = {"timeout": 600}


@bentoml.service(traffic=_TRAFFIC)
class Plain:
    """Scores a text a call."""

    def __init__(self) -> None:
        self.scorer = Scorer()

    @bentoml.api(route="/predict")
    def predict(self, text: str) -> dict[str, Any]:
        """Return the verdict on a text."""
        return {**self.scorer.verdict(text)}


@bentoml.service(traffic=_TRAFFIC, workers=CORES)
class Batching:
    """Scores the batches that BentoML forms of single texts."""

    def __init__(self) -> None:
        self.scorer = Scorer()

    @bentoml.api(route="/predict", batchable=True, max_batch_size=16, max_latency_ms=600_000)
    def predict(self, text: list[str]) -> list[dict[str, Any]]:
        """Return the verdicts on texts."""
        return [{**verdict} for verdict in self.scorer.verdicts(text)]


service = Batching if ADVISED else Plain
