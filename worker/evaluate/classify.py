"""Verdicts of many texts or pairs by a worker's classifier."""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from tasks.vocabulary.options import Options
from tasks.vocabulary.verdicts import AspectVerdicts, Verdict
from worker.scoring.classifier import Classifier
from worker.scoring.question import Question

# The classifier sorts the texts of one call by length, so large calls fill their batches.
TEXTS_PER_CALL = 1_024


def as_question(text: str | tuple[str, str]) -> Question:
    """Return the question for a text, or for a pair of an aspect and a text."""
    return Question(text) if isinstance(text, str) else Question(text[1], Options(aspects=(text[0],)))


def classify(classifier: Classifier, questions: Sequence[Question]) -> list[Verdict]:
    """Return the verdict of each text or pair, in order. Shows progress on a terminal."""
    verdicts: list[Verdict] = []
    with tqdm(total=len(questions), unit=" texts", leave=False, disable=None) as bar:
        for begin in range(0, len(questions), TEXTS_PER_CALL):
            part = questions[begin : begin + TEXTS_PER_CALL]
            for outcome in classifier.answer(part):
                if isinstance(outcome, AspectVerdicts):
                    verdicts += outcome.verdicts
                elif isinstance(outcome, Verdict):
                    verdicts.append(outcome)
            bar.update(len(part))
    return verdicts
