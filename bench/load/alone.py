"""The engine's own time: texts one after the other in this process, with no service around it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tasks.settings import Settings
from worker.engines.factory import build_engine
from worker.packs.pack import load_pack
from worker.scoring.classifier import Classifier


def times_alone(texts: Sequence[str]) -> list[float]:
    """Return the seconds that each text takes by itself, on the configured pack with one thread.

    The texts are scored twice: the first time meets every tensor shape and is not counted.
    """
    settings = Settings.read()
    pack = load_pack(settings.pack)
    engine = build_engine(pack, settings.engine, device=settings.device, threads=1)
    classifier = Classifier(pack, engine, batch_tokens=settings.batch_tokens or engine.batch_tokens)
    classifier.warm_up()
    for text in texts:
        classifier.classify([text])
    return [_timed(classifier, text) for text in texts]


def _timed(classifier: Classifier, text: str) -> float:
    start = time.perf_counter()
    classifier.classify([text])
    return time.perf_counter() - start
