"""Early stopping: keep the weights of the best pass, and say when passes do not get better any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor

from training.state import load_state, save_state
from worker.evaluate.measures import confusion_matrix, f1_scores


@dataclass(frozen=True, order=True)
class Measures:
    """Measures of a pass on texts that it did not learn from. Better ones are greater.

    `loss` is the mean cross-entropy.
    """

    macro_f1: float
    negative_loss: float
    accuracy: float

    @classmethod
    def of(cls, logits: NDArray[np.float32], true: NDArray[np.int64]) -> Measures:
        """Return the measures of logits (n, labels) against label numbers (n,)."""
        predicted = logits.argmax(axis=1)
        f1 = f1_scores(confusion_matrix(true, predicted, logits.shape[1])).mean()
        likelihood = log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(true)), true].mean()
        return cls(float(f1), float(likelihood), float((predicted == true).mean()))


class BestWeights:
    """The weights of the best pass so far, in a file that an interrupted run goes on with."""

    def __init__(self, path: Path, patience: int) -> None:
        """Stop after `patience` passes without a better one."""
        self._path, self._patience = path, patience
        self.passes: list[Measures] = []
        self.weights: dict[str, Tensor] = {}
        if path.exists():
            load_state(path, "cpu", self._restore)

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.passes = [Measures(**measures) for measures in state["passes"]]
        self.weights = dict(state["weights"])

    @property
    def exhausted(self) -> bool:
        """Return whether as many passes as the patience allows have not been better."""
        return len(self.passes) - self._best >= self._patience

    @property
    def _best(self) -> int:
        """Return the number of the best pass, from 1; 0 before the first."""
        return self.passes.index(max(self.passes)) + 1 if self.passes else 0

    def add(self, measures: Measures, weights: Mapping[str, Tensor]) -> None:
        """Add a pass, and keep its weights if it is the best."""
        self.passes.append(measures)
        if self._best == len(self.passes):
            self.weights = {name: value.detach().cpu().clone() for name, value in weights.items()}
        save_state(self._path, {"passes": list(map(asdict, self.passes)), "weights": self.weights})
