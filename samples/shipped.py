"""Read the texts that ship with the project: labelled reviews, and calibration texts for int8."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

REVIEWS_FILE = Path(__file__).with_name("reviews.csv")
CALIBRATION_FILE = Path(__file__).with_name("calibration.txt")
_LABELS = {"0": "negative", "1": "positive"}


@dataclass(frozen=True)
class Review:
    """A row of `reviews.csv`: a text, the label that a person gave it, and its domain."""

    text: str
    label: str
    domain: str


def read_reviews() -> list[Review]:
    """Return the shipped reviews, in the order of the file."""
    with REVIEWS_FILE.open(encoding="utf-8", newline="") as file:
        return [Review(row["text"], _LABELS[row["label"]], row["domain"]) for row in csv.DictReader(file)]


def read_calibration() -> list[str]:
    """Return the calibration texts, one a line of the file."""
    return CALIBRATION_FILE.read_text("utf-8").splitlines()
