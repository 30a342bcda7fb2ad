"""What joint training teaches: the corpus with targets of both classifiers, the model, and its loss."""

from __future__ import annotations

import random
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.corpus import Corpus, encode
from training.joint_texts import LOGITS, THREE, TWO, Classifier, Text, Texts
from training.pretrain import label_loss
from worker.engines.bert import BertClassifier
from worker.packing.source import Source

# Targets of the given label: labels are sometimes wrong, those of the training file more often.
CERTAINTY, ROW_CERTAINTY = 0.95, 0.9
NEUTRAL_SHARE = 0.7  # of the loss of the labels with neutral, against that of the others
# Rows of the training file may be neutral, and say otherwise: few of them teach the labels with neutral.
TEACH_NEUTRAL = 0.2


def corpus_of(texts: Texts, options: Namespace, vocabulary: Path) -> Corpus:
    """Return the texts of all passes, with targets (n, LOGITS) for both classifiers."""
    draw = random.Random(options.seed)  # noqa: S311  no secret
    rows = draw.sample(texts.rows, min(len(texts.rows), options.passes * options.rows))
    every = [*texts.written * options.passes, *rows]
    targets, of_rows = _targets(every, CERTAINTY), _targets(rows, ROW_CERTAINTY)
    silent = np.random.default_rng(options.seed).random(len(rows)) >= TEACH_NEUTRAL
    of_rows[silent, THREE.columns] = np.nan
    targets[len(every) - len(rows) :] = of_rows
    return encode([text.text for text in every], targets, vocabulary, options.length)


def _targets(texts: Sequence[Text], certainty: float) -> NDArray[np.float32]:
    """Return the targets (n, LOGITS); NaN for a classifier that does not have the label of a text."""
    targets = np.full((len(texts), LOGITS), np.nan, np.float32)
    for classifier in (TWO, THREE):
        known = [at for at, text in enumerate(texts) if text.label in classifier.order]
        labels = len(classifier.order)
        rest = (1 - certainty) / (labels - 1)
        chosen = np.eye(labels)[classifier.numbers([texts[at] for at in known])]
        targets[known, classifier.columns] = rest + chosen * (certainty - rest)
    return targets


def initial_model(start: Source, dropout: float) -> BertClassifier:
    """Return the start's model with both classifiers; neutral begins between negative and positive."""
    negative, positive = (
        (start.weights["classifier.weight"][at], start.weights["classifier.bias"][at]) for at in (0, 1)
    )
    between = tuple((one + other) / 2 for one, other in zip(negative, positive, strict=True))
    parts = (negative, positive, negative, between, positive)
    head = {
        f"classifier.{name}": torch.stack(each)
        for name, each in zip(("weight", "bias"), zip(*parts, strict=True), strict=True)
    }
    model = BertClassifier(replace(start.shape, labels=LOGITS), dropout)
    model.load_state_dict({**start.weights, **head})
    return model


def joint_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the loss of both classifiers, each over the texts whose label it has.

    `logits` and `targets` are (n, LOGITS), `weights` (n,).
    """

    def loss(classifier: Classifier) -> Tensor:
        wanted = targets[:, classifier.columns]
        known = ~wanted.isnan().any(1)
        mean = label_loss(logits[known][:, classifier.columns], wanted[known], weights[known])
        return mean * known.float().mean()

    return loss(TWO) + NEUTRAL_SHARE * loss(THREE)
