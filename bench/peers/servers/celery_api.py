"""Flask in front of the Celery task: a text a request, or many in a group of tasks."""

from __future__ import annotations

from typing import Any

from celery import group
from flask import Flask, request

from bench.peers.servers.celery_tasks import score
from bench.peers.servers.scorer import Verdict

_TIMEOUT_S = 600
app = Flask(__name__)


@app.post("/predict")
def predict() -> Verdict:
    """Score one text and wait for its result."""
    body: dict[str, Any] = request.get_json()
    verdict: Verdict = score.delay(body["text"]).get(timeout=_TIMEOUT_S)
    return verdict


@app.post("/bulk")
def bulk() -> list[Verdict]:
    """Score many texts, each in a task, and wait for all results."""
    body: dict[str, Any] = request.get_json()
    tasks = group(score.s(text) for text in body["texts"])
    verdicts: list[Verdict] = tasks.apply_async().get(timeout=_TIMEOUT_S)
    return verdicts
