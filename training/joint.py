"""Train the model of both embedded packs, on training texts and written texts together.

    python -m training.joint --train train.csv.gz --dev dev.csv.gz --start models/checkpoint --out DIR

One encoder learns two classifiers: negative or positive, and negative, neutral or positive. The written
texts are read in every pass, beside rows of the training file that are new in each. Some writers and domains
are held out: with the dev texts they set the scale of the n-gram heads, and `DIR/two.csv` and
`DIR/three.csv` hold them to measure and calibrate the packs on. An interrupted run goes on where it was.
The checkpoints are `DIR/two` and `DIR/three`; `python -m worker.packing make` makes packs of them.
"""
# ruff: noqa: T201  prints what is wrong with a file

from __future__ import annotations

import argparse
import csv
import logging
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.console import replace_unencodable
from tasks.errors import SentiqError
from tasks.log_format import start_logging
from tasks.vocabulary.labels import NEGATIVE_POSITIVE, LabelSet
from training.corpus import Corpus, encode
from training.inference import outputs
from training.ngrams import scaled, train_head
from training.pretrain import label_loss
from training.source_files import write_source
from training.trainer import Trainer, TrainerConfig
from training.written import FILE, NEGATIVE, NEUTRAL, POSITIVE, read_written
from worker.engines.bert import BertClassifier
from worker.evaluate.labelled import read_labelled
from worker.packing.inputs import encode as token_rows
from worker.packing.known_labels import known_labels
from worker.packing.source import Source, read_source
from worker.packs.ngrams import NGRAMS_FILE, NgramHead, write_ngrams
from worker.packs.reference import compress
from worker.scoring.batches import Row

CERTAINTY = 0.95  # target of the given label: labels are sometimes wrong
NEUTRAL_SHARE = 0.7  # of the loss of the labels with neutral, against that of the others
# Rows of the training file may be neutral, and say otherwise: few of them teach the labels with neutral.
TEACH_NEUTRAL = 0.2

logger = logging.getLogger(__name__)


class Text(NamedTuple):
    """A text with its label: NEGATIVE, NEUTRAL or POSITIVE."""

    text: str
    label: str


@dataclass(frozen=True)
class Classifier:
    """A label set, by the labels of the texts in its order, and its columns among the logits."""

    name: str
    order: tuple[str, ...]
    labels: LabelSet
    columns: slice

    def numbers(self, texts: Sequence[Text]) -> list[int]:
        """Return the number of each text's label; all of them must have one."""
        return [self.order.index(text.label) for text in texts]

    def known(self, texts: Sequence[Text]) -> list[Text]:
        """Return the texts whose label it has."""
        return [text for text in texts if text.label in self.order]


TWO = Classifier("two", (NEGATIVE, POSITIVE), NEGATIVE_POSITIVE, slice(0, 2))
WITH_NEUTRAL = LabelSet(tuple(filter(None, known_labels(("negative", "neutral", "positive")))))
THREE = Classifier("three", (NEGATIVE, NEUTRAL, POSITIVE), WITH_NEUTRAL, slice(2, 5))
LOGITS = 5


class Texts(NamedTuple):
    """Texts that are read in every pass, rows of the training file, and texts to measure with."""

    written: list[Text]
    rows: list[Text]
    measuring: list[Text]


def read_texts(train: Path, dev: Path, own: Path) -> Texts:
    """Return the texts of two labelled files, and the written ones of `own`. Raises LabelledFileError."""
    written, rows, dev_rows = read_written(own), _read(train), _read(dev)
    held_out = [Text(each.text, each.label) for each in written if each.held_out]
    taught = [Text(each.text, each.label) for each in written if not each.held_out]
    return Texts(taught, rows, [*dev_rows, *held_out])


def _read(path: Path) -> list[Text]:
    file = read_labelled(path)
    order = (NEGATIVE, POSITIVE)
    numbers = file.numbers(NEGATIVE_POSITIVE)
    return [Text(text, order[number]) for text, number in zip(file.texts, numbers, strict=True)]


def corpus_of(texts: Texts, options: argparse.Namespace, vocabulary: Path) -> Corpus:
    """Return the texts of all passes, with targets (n, LOGITS) for both classifiers."""
    draw = random.Random(options.seed)  # noqa: S311  no secret
    rows = draw.sample(texts.rows, min(len(texts.rows), options.passes * options.rows))
    every = [*texts.written * options.passes, *rows]
    targets = np.full((len(every), LOGITS), np.nan, np.float32)
    for classifier in (TWO, THREE):
        known = [at for at, text in enumerate(every) if text.label in classifier.order]
        targets[known, classifier.columns] = _soft(classifier, [every[at] for at in known])
    silent = np.random.default_rng(options.seed).random(len(rows)) >= TEACH_NEUTRAL
    targets[len(every) - len(rows) :][silent, THREE.columns] = np.nan
    return encode([text.text for text in every], targets, vocabulary, options.length)


def _soft(classifier: Classifier, texts: Sequence[Text]) -> NDArray[np.float32]:
    labels = len(classifier.order)
    rest = (1 - CERTAINTY) / (labels - 1)
    return (rest + np.eye(labels)[classifier.numbers(texts)] * (CERTAINTY - rest)).astype(np.float32)


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


def train(start: Source, corpus: Corpus, options: argparse.Namespace) -> BertClassifier:
    """Return the model with the averaged weights of one run over the corpus."""
    torch.manual_seed(options.seed)
    model = initial_model(start, options.dropout)
    config = TrainerConfig(options.rate, len(corpus.ids), options.batch_tokens, options.seed, "cpu")
    trainer = Trainer(model, options.out / "joint.pt", config)

    def loss_of(ids: Tensor, mask: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        return joint_loss(model(ids, mask), targets, weights)

    trainer.run(corpus, loss_of, lambda: None)
    model.load_state_dict(trainer.average.module.state_dict())
    return model.eval()


def write_checkpoint(
    classifier: Classifier, model: BertClassifier, start: Source, texts: Texts, out: Path
) -> None:
    """Write the checkpoint of one classifier with its n-gram head, and the texts to measure it with."""
    weights = dict(model.state_dict())
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = weights[name][classifier.columns].clone()
    shape = replace(start.shape, labels=len(classifier.order))
    directory = out / classifier.name
    write_source(directory, compress(weights), shape, classifier.labels, start.vocabulary)

    learnt, measuring = (classifier.known(each) for each in ([*texts.written, *texts.rows], texts.measuring))
    rows, others = (
        token_rows([text.text for text in each], start.vocabulary, start.shape.positions)
        for each in (learnt, measuring)
    )
    head = train_head(rows, classifier.numbers(learnt), len(classifier.order))
    encoder = _encoder_logits(model, measuring, start)[:, classifier.columns]
    ngrams = np.concatenate([_ngram_logits(head, row) for row in others])
    numbers = classifier.numbers(measuring)
    write_ngrams(scaled(head, encoder, ngrams, numbers), directory / NGRAMS_FILE)
    with (out / f"{classifier.name}.csv").open("w", encoding="utf-8", newline="") as file:
        ids = [classifier.labels.ids[number] for number in numbers]
        named = [(text.text, label) for text, label in zip(measuring, ids, strict=True)]
        csv.writer(file).writerows([("text", "label"), *named])


def _encoder_logits(model: BertClassifier, texts: Sequence[Text], start: Source) -> NDArray[np.float64]:
    nothing = np.zeros((len(texts), LOGITS), np.float32)
    corpus = encode([text.text for text in texts], nothing, start.vocabulary, start.shape.positions)
    return outputs(model, corpus, "cpu").astype(np.float64)


def _ngram_logits(head: NgramHead, row: Row) -> NDArray[np.float64]:
    """Return the logits (1, labels) of one row."""
    ids = np.array([row])
    return head.logits(ids, np.ones_like(ids)).astype(np.float64)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.joint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("train", "dev", "start", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--written", type=Path, default=FILE, help="default: the texts that ship with it")
    numbers = {
        "passes": 6, "rows": 5000, "length": 160, "rate": 2e-4, "batch-tokens": 2048, "dropout": 0.1,
        "seed": 1, "threads": 1,
    }  # fmt: skip
    for name, number in numbers.items():
        parser.add_argument(f"--{name}", type=type(number), default=number)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the model and write both checkpoints. Return the exit code: 1 when a file cannot be used."""
    replace_unencodable()
    start_logging("info", "%(asctime)s %(message)s")
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        start, texts = read_source(options.start), read_texts(options.train, options.dev, options.written)
        corpus = corpus_of(texts, options, start.vocabulary)
        logger.info("%d texts, %d tokens in %d passes", len(corpus.targets), len(corpus.ids), options.passes)
        model = train(start, corpus, options)
        for classifier in (TWO, THREE):
            logger.info("writing the checkpoint %s", classifier.name)
            write_checkpoint(classifier, model, start, texts, options.out)
    except (SentiqError, OSError) as error:
        print(f"training.joint: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
