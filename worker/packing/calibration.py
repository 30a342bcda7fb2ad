"""Calibration: fit the temperature and the bound of uncertainty to labelled texts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.isotonic import IsotonicRegression

MIN_ACCURACY = 0.75
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
_DIGITS = 4


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the temperature of the softmax that maximises the likelihood of the label numbers (n,).

    `logits` are (n, labels).
    """
    # Against the logit of the true label, which is then 0.
    margins = logits - np.take_along_axis(logits, labels[:, None], axis=1)

    def loss(log_temperature: float) -> float:
        return float(logsumexp(margins / math.exp(log_temperature), axis=1).mean())

    bounds = (math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE))
    optimum = minimize_scalar(loss, bounds=bounds, method="bounded")
    return round(math.exp(optimum.x), _DIGITS)


def fit_uncertain_below(confidence: NDArray[np.float64], correct: NDArray[np.bool_], lowest: float) -> float:
    """Return the confidence, `lowest` to 1, below which verdicts are less than 75 % accurate.

    Isotonic regression fits accuracy as a function of confidence that never falls. The result is the
    confidence at which that function reaches 0.75, or 1.0 when it never does. `lowest` is the lowest that a
    confidence can be, 1 / labels; the other arguments are (n,).
    """
    accuracy = IsotonicRegression().fit_transform(confidence, correct.astype(np.float64))
    accurate = confidence[accuracy >= MIN_ACCURACY]
    if not len(accurate):
        return 1.0
    scale = 10**_DIGITS
    # Rounded down, so that the text with exactly this confidence is not uncertain.
    return max(lowest, math.floor(float(accurate.min()) * scale) / scale)
