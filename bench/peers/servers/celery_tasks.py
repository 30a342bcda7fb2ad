"""A Celery task a text, with a pipeline of transformers in each child and results in Redis."""

from __future__ import annotations

import os
from functools import cache

from celery import Celery

from bench.peers.servers.scorer import ADVISED, Scorer, Verdict

app = Celery("peer", broker=os.environ["PEER_REDIS"], backend=os.environ["PEER_REDIS"])
app.conf.broker_connection_retry_on_startup = True
if ADVISED:
    # "Optimizing" of Celery's user guide, for tasks that take long.
    app.conf.worker_prefetch_multiplier = 1

# Loaded by the first task of a child: torch does not survive a fork.
scorer = cache(Scorer)


@app.task(name="score")
def score(text: str) -> Verdict:
    """Score one text."""
    return scorer().verdict(text)
