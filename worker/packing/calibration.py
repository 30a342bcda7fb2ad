"""Calibration: fit the temperature and the bound of uncertainty to labelled texts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression

MIN_ACCURACY = 0.75
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
_DIGITS = 4


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the temperature that maximises the likelihood of the labels (n,), 1 = positive.

    `logits` (n,) are of positive against negative.
    """
    margins = np.where(labels == 1, logits, -logits)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -margins / math.exp(log_temperature)).mean())

    bounds = (math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE))
    optimum = minimize_scalar(loss, bounds=bounds, method="bounded")
    return round(math.exp(optimum.x), _DIGITS)


def fit_uncertain_below(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    """Return the confidence, 0.5 to 1, below which verdicts are less than 75 % accurate.

    Isotonic regression fits accuracy as a function of confidence that never falls. The result is the
    confidence at which that function reaches 0.75, or 1.0 when it never does. Both arguments are (n,).
    """
    accuracy = IsotonicRegression().fit_transform(confidence, correct.astype(np.float64))
    accurate = confidence[accuracy >= MIN_ACCURACY]
    if not len(accurate):
        return 1.0
    scale = 10**_DIGITS
    # Rounded down, so that the text with exactly this confidence is not uncertain.
    return max(0.5, math.floor(float(accurate.min()) * scale) / scale)
