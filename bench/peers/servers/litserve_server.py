"""LitServe: a LitAPI; as advised, a worker a core and dynamic batches."""

from typing import Any

import litserve

from bench.peers.servers.scorer import ADVISED, CORES, PORT, Scorer, Verdict


class Api(litserve.LitAPI):
    """Scores one text a call of `predict`, or a batch."""

    def setup(self, _device: str) -> None:
        """Load the model."""
        self.scorer = Scorer()

    def decode_request(self, request: dict[str, Any]) -> str:
        """Return the text of a request."""
        return str(request["text"])

    def predict(self, x: Any) -> Any:
        """Return the verdict on a text, or those on a batch."""
        return self.scorer.verdict(x) if isinstance(x, str) else self.scorer.verdicts(x)

    def encode_response(self, output: Verdict) -> Verdict:
        """Return the body of an answer."""
        return output


if __name__ == "__main__":
    api = Api(max_batch_size=16, batch_timeout=0.01) if ADVISED else Api()
    workers = CORES if ADVISED else 1
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers, timeout=600)
    server.run(host="127.0.0.1", port=PORT, generate_client_file=False, log_level="warning")
