"""Read the texts that ship with the project: plain and hard reviews, and calibration texts for int8."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

PLAIN_FILE = Path(__file__).with_name("plain.csv")
REVIEWS_FILE = Path(__file__).with_name("reviews.csv")
CALIBRATION_FILE = Path(__file__).with_name("calibration.txt")
_LABELS = {"0": "negative", "1": "positive"}


@dataclass(frozen=True)
class Review:
    """A text, the label that a person gave it, and its domain."""

    text: str
    label: str
    domain: str


def read_reviews() -> list[Review]:
    """Return the hard reviews, which speak in facts, irony and turns, in the order of the file."""
    return _read(REVIEWS_FILE)


def read_plain() -> list[Review]:
    """Return the plain reviews, which say what they mean, in the order of the file."""
    return _read(PLAIN_FILE)


def _read(path: Path) -> list[Review]:
    with path.open(encoding="utf-8", newline="") as file:
        return [Review(row["text"], _LABELS[row["label"]], row["domain"]) for row in csv.DictReader(file)]


def read_calibration() -> list[str]:
    """Return the calibration texts, one a line of the file."""
    return CALIBRATION_FILE.read_text("utf-8").splitlines()
