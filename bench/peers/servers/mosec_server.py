"""mosec: a worker process that scores a text, or as advised a worker a core with dynamic batches."""

from __future__ import annotations

from typing import Any

import mosec

from bench.peers.servers.scorer import ADVISED, CORES, Scorer, Verdict


class Single(mosec.Worker):
    """Scores a text a call."""

    def __init__(self) -> None:
        self.scorer = Scorer()

    def forward(self, data: dict[str, Any]) -> Verdict:
        """Return the verdict on the text of a request."""
        return self.scorer.verdict(data["text"])


class Batch(mosec.Worker):
    """Scores a batch a call."""

    def __init__(self) -> None:
        self.scorer = Scorer()

    def forward(self, data: list[dict[str, Any]]) -> list[Verdict]:
        """Return the verdicts on the texts of requests."""
        return self.scorer.verdicts([each["text"] for each in data])


if __name__ == "__main__":
    server = mosec.Server()
    route = "/predict"
    if ADVISED:
        server.append_worker(Batch, num=CORES, max_batch_size=16, max_wait_time=10, route=route, timeout=600)
    else:
        server.append_worker(Single, route=route, timeout=600)
    # mosec reads its other options from the command line.
    server.run()
