"""The Flask routes that are the same for all queues: one text, or many, until their results are there."""

from __future__ import annotations

import importlib
import os
import time
from typing import Any

from flask import Flask, request

queue: Any = importlib.import_module(f"bench.queues.servers.{os.environ['PEER_QUEUE']}")
app = Flask(__name__)


@app.post("/predict")
def predict() -> dict[str, Any]:
    """Have one text scored."""
    body: dict[str, Any] = request.get_json()
    return {"label": "any", "score": queue.result(queue.submit(body["text"]))}


@app.post("/many")
def many() -> dict[str, Any]:
    """Have texts scored, a task each; return the seconds until all are submitted, and until all are read."""
    body: dict[str, Any] = request.get_json()
    start = time.monotonic()
    submitted = queue.submit_many(body["texts"])
    in_s = time.monotonic() - start
    results = [queue.result(each) for each in submitted]
    return {"in_s": in_s, "out_s": time.monotonic() - start, "results": results}
