"""The service that many write first: Flask with threads, a lock, and a pipeline that pads to 512 tokens."""

from __future__ import annotations

import threading
from typing import Any

from flask import Flask, request
from modelscope.pipelines import pipeline

from bench.peers.servers.scorer import CHECKPOINT, PORT, Verdict

app = Flask(__name__)
lock = threading.Lock()
score = pipeline("text-classification", model=CHECKPOINT, device="cpu")


@app.post("/predict")
def predict() -> Verdict:
    """Score the text of the request."""
    body: dict[str, Any] = request.get_json()
    with lock:
        answer = score(body["text"])
    label, probability = max(zip(answer["labels"], answer["scores"], strict=True), key=lambda each: each[1])
    return {"label": label, "score": probability}


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=PORT, threaded=True)
