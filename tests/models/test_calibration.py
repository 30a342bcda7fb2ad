"""Calibration recovers the temperature and the bound with which labels were drawn."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from worker.packing.calibration import fit_temperature, fit_uncertain_below


def draw(temperature: float, labels: int, texts: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, and labels drawn with the probabilities of logits / temperature."""
    random = np.random.default_rng(1)
    logits = random.normal(0, 3, (texts, labels))
    # The largest of logits with Gumbel noise is drawn with the softmax of the logits.
    return logits, (logits / temperature + random.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("labels", [2, 3, 7])
def test_the_temperature_of_the_labels_is_recovered(temperature: float, labels: int) -> None:
    assert fit_temperature(*draw(temperature, labels)) == pytest.approx(temperature, rel=0.06)


def test_a_model_that_is_always_right_or_never_has_a_bounded_temperature() -> None:
    logits, labels = np.array([[0.0, 2.0], [2.0, 0.0]]), np.array([1, 0])
    assert fit_temperature(logits, labels) == pytest.approx(0.05, rel=0.01)
    assert fit_temperature(logits, 1 - labels) == pytest.approx(20, rel=0.01)


def test_confidence_that_is_honest_is_uncertain_below_three_quarters() -> None:
    random = np.random.default_rng(1)
    confidence = random.uniform(0.5, 1, 20_000)
    correct = random.random(20_000) < confidence
    assert fit_uncertain_below(confidence, correct, 0.5) == pytest.approx(0.75, abs=0.03)


def test_the_lowest_confidence_that_is_accurate_enough_is_not_uncertain() -> None:
    confidence = np.array([0.6, 0.7, 0.81239, 0.9])
    assert fit_uncertain_below(confidence, np.array([False, False, True, True]), 0.5) == 0.8123


def test_the_threshold_has_its_bounds() -> None:
    confidence = np.array([0.6, 0.9])
    assert fit_uncertain_below(confidence, np.array([True, True]), 0.5) == 0.6
    assert fit_uncertain_below(confidence, np.array([False, False]), 0.5) == 1.0
    # Rounded down, the lowest confidence of three labels would be below what they can have.
    assert fit_uncertain_below(np.array([1 / 3, 0.9]), np.array([True, True]), 1 / 3) == 1 / 3
