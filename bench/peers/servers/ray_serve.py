"""Ray Serve: a deployment of one replica; as advised, a replica a core and dynamic batches."""

from __future__ import annotations

from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from bench.peers.servers.scorer import ADVISED, CORES, PORT, Scorer, Verdict


@serve.deployment
class Plain:
    """Scores a text a request."""

    def __init__(self) -> None:
        self.scorer = Scorer()

    async def __call__(self, request: Request) -> Verdict:
        """Return the verdict on the text of a request."""
        body: dict[str, Any] = await request.json()
        return self.scorer.verdict(body["text"])


@serve.deployment(num_replicas=CORES, max_ongoing_requests=64)
class Batching:
    """Scores the batches that Ray Serve forms of requests."""

    def __init__(self) -> None:
        self.scorer = Scorer()

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.01)
    async def batch(self, texts: list[str]) -> list[Verdict]:
        """Return the verdicts on texts."""
        return self.scorer.verdicts(texts)

    async def __call__(self, request: Request) -> Verdict:
        """Return the verdict on the text of a request."""
        body: dict[str, Any] = await request.json()
        verdict: Verdict = await self.batch(body["text"])
        return verdict


if __name__ == "__main__":
    chosen: Any = Batching if ADVISED else Plain
    ray.init(num_cpus=CORES + 2, include_dashboard=False)  # the proxy and the controller ask for some too
    serve.start(http_options={"host": "127.0.0.1", "port": PORT, "request_timeout_s": 600})
    serve.run(chosen.bind(), route_prefix="/predict", blocking=True)
