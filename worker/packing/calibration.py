"""What a model's confidence is worth: fitted on labelled texts, kept in `pack.json`."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression

RIGHT_ENOUGH = 0.75
COLDEST, HOTTEST = 0.05, 20.0
_DIGITS = 4


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature under which the labels (1 = positive) are most likely; the logits are of positive."""
    margins = np.where(labels == 1, logits, -logits)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -margins / math.exp(log_temperature)).mean())

    found = minimize_scalar(loss, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded")
    return round(math.exp(found.x), _DIGITS)


def find_uncertain_below(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The confidence below which fewer than three of four verdicts are right, 0.5 to 1.

    The share of right verdicts is taken from the curve that fits them best among those that never fall as the
    confidence rises (isotonic regression); the answer is where it reaches 0.75, or 1.0 when it never does.
    """
    curve = IsotonicRegression().fit_transform(confidence, right.astype(np.float64))
    enough = confidence[curve >= RIGHT_ENOUGH]
    if not len(enough):
        return 1.0
    scale = 10**_DIGITS
    # Rounded down: the text that reaches it is not uncertain.
    return max(0.5, math.floor(float(enough.min()) * scale) / scale)
