"""The texts that ship with the project: labelled reviews, and texts to calibrate int8 on."""

import csv
from dataclasses import dataclass
from pathlib import Path

REVIEWS_FILE = Path(__file__).with_name("reviews.csv")
CALIBRATION_FILE = Path(__file__).with_name("calibration.txt")
_LABELS = {"0": "negative", "1": "positive"}


@dataclass(frozen=True)
class Review:
    """A row of the shipped file: a text and what a person says about it."""

    text: str
    label: str
    domain: str


def read_reviews() -> list[Review]:
    """The reviews shipped with the project."""
    with REVIEWS_FILE.open(encoding="utf-8", newline="") as file:
        return [Review(row["text"], _LABELS[row["label"]], row["domain"]) for row in csv.DictReader(file)]


def read_calibration() -> list[str]:
    """The calibration texts, a line each in their file."""
    return CALIBRATION_FILE.read_text("utf-8").splitlines()
