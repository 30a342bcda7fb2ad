"""Run a pack on labelled texts with the classifier that workers run, and report the measures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from worker.engines.factory import build_engine
from worker.evaluate.classify import as_question, classify
from worker.evaluate.labelled import LabelledTexts
from worker.evaluate.measures import Scored, measure
from worker.packs.pack import Pack
from worker.scoring.classifier import Classifier


@dataclass(frozen=True)
class Machine:
    """What computes: the name of the engine, its device and its threads."""

    engine: str
    device: str
    threads: int


@dataclass(frozen=True)
class Run:
    """A pack, its verdicts on the texts of a file, and the seconds that they took."""

    pack: Pack
    machine: Machine
    labelled: LabelledTexts
    scored: Scored
    seconds: float

    @classmethod
    def of(cls, pack: Pack, machine: Machine, labelled: LabelledTexts, true: Sequence[str]) -> Self:
        """Return the run of a pack on texts whose true labels have these ids. Raises SentiqError."""
        numbers = [pack.labels.ids.index(label) for label in true]
        questions = [as_question(text) for text in labelled.inputs(pack.input)]
        engine = build_engine(pack, machine.engine, device=machine.device, threads=machine.threads)
        classifier = Classifier(pack, engine, batch_tokens=engine.batch_tokens)
        started = time.monotonic()
        verdicts = classify(classifier, questions)
        seconds = time.monotonic() - started
        return cls(pack, machine, labelled, Scored.of(verdicts, pack.labels, numbers), seconds)

    def report(self) -> dict[str, Any]:
        """Return the measures of all texts and of each domain, ready for JSON."""
        described = {"pack": self.pack.id, "revision": self.pack.revision, "precision": self.pack.precision}
        described |= {"engine": self.machine.engine, "device": self.machine.device}
        described |= {"file": self.labelled.path.name}
        domains = {name: measure(self.scored.where(inside)) for name, inside in masks(self.labelled).items()}
        by = {"by": self.labelled.by, "domains": domains} if domains else {}
        return described | measure(self.scored) | {"seconds": round(self.seconds, 2)} | by


def masks(labelled: LabelledTexts) -> Mapping[str, NDArray[np.bool_]]:
    """Return which texts (n,) each domain has, by its name; empty without a domain column."""
    if labelled.by is None:
        return {}
    domains = np.array(labelled.domains)
    return {name: domains == name for name in sorted(set(labelled.domains))}
