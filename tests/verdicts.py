"""Verdicts, and sets of labels for them."""

from __future__ import annotations

from typing import Any

from tasks.vocabulary.labels import NEGATIVE_POSITIVE, Label, LabelSet
from tasks.vocabulary.verdicts import Verdict

THREE = LabelSet(
    (
        Label("positive", "好评", "Praise", 1, "👍"),
        Label("neutral", "中评", "Neutral", 0),
        Label("negative", "差评", "Complaint", -1, "👎"),
    )
)
EMOTIONS = LabelSet(
    tuple(
        Label(each, f"情绪{number}", each.title())
        for number, each in enumerate(("fear", "anger", "disgust", "like", "joy", "sadness", "surprise"))
    )
)
TWELVE = LabelSet(
    (
        *(Label(f"star_{number}", f"{number}星", f"{number} stars", 0) for number in range(1, 12)),
        NEGATIVE_POSITIVE[0],
    )
)


def of(labels: LabelSet, *probabilities: float, **rest: Any) -> Verdict:
    """Return the verdict of a pack with these labels on a text of nine tokens."""
    return Verdict(labels, dict(enumerate(probabilities)), 9, 9, **rest)


def rated(positive: float, tokens: int, text_tokens: int, **rest: Any) -> Verdict:
    """Return a verdict with the labels negative and positive."""
    return Verdict(NEGATIVE_POSITIVE, {0: 1 - positive, 1: positive}, tokens, text_tokens, **rest)
