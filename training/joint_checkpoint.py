"""Write what joint training learned: a checkpoint of each classifier, and texts to measure it with."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.corpus import encode
from training.inference import ngram_logits, outputs
from training.joint_texts import LOGITS, Classifier, Text, Texts
from training.ngrams import scaled, train_head
from training.source_files import write_source
from worker.engines.bert import BertClassifier
from worker.packing.inputs import encode as token_rows
from worker.packing.source import Source
from worker.packs.ngrams import NgramHead, write_ngrams
from worker.packs.pack import NGRAMS_FILE
from worker.packs.reference import compress


def write_checkpoint(
    classifier: Classifier, model: BertClassifier, start: Source, texts: Texts, out: Path
) -> None:
    """Write the checkpoint of one classifier, whole or not at all, and the texts to measure it with."""
    weights = dict(model.state_dict())
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = weights[name][classifier.columns].clone()
    shape = replace(start.shape, labels=len(classifier.order))
    draft, directory = out / f".{classifier.name}", out / classifier.name
    shutil.rmtree(draft, ignore_errors=True)
    write_source(draft, compress(weights), shape, classifier.labels, start.vocabulary)
    write_ngrams(_ngram_head(classifier, model, start, texts), draft / NGRAMS_FILE)
    for fitted, name in ((True, "fitted"), (False, "judged")):
        part = [text for text in texts.measuring(classifier) if text.fitted == fitted]
        _write_texts(classifier, part, out / f"{classifier.name}-{name}.csv")
    shutil.rmtree(directory, ignore_errors=True)
    draft.rename(directory)


def _ngram_head(classifier: Classifier, model: BertClassifier, start: Source, texts: Texts) -> NgramHead:
    """Return the head of the texts that the classifier learned from, scaled on those that are fitted to."""
    learnt = texts.learnt(classifier)
    fitted = [text for text in texts.measuring(classifier) if text.fitted]
    rows = token_rows([text.text for text in learnt], start.vocabulary, start.shape.positions)
    head = train_head(rows, classifier.numbers(learnt), len(classifier.order))
    nothing = np.zeros((len(fitted), LOGITS), np.float32)
    corpus = encode([text.text for text in fitted], nothing, start.vocabulary, start.shape.positions)
    encoder, ngrams = outputs(model, corpus, "cpu")[:, classifier.columns], ngram_logits(head, corpus)
    return scaled(head, encoder.astype(np.float64), ngrams.astype(np.float64), classifier.numbers(fitted))


def _write_texts(classifier: Classifier, texts: Sequence[Text], path: Path) -> None:
    ids = [classifier.labels.ids[number] for number in classifier.numbers(texts)]
    named = [(text.text, label, text.domain) for text, label in zip(texts, ids, strict=True)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label", "domain"), *named])
