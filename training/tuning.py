"""One run of tuning: from a file of labelled texts to a judged pack, with the figures."""
# ruff: noqa: T201  prints progress for a person

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.corpus import Corpus, encode, one_hot
from training.device import require_device
from training.early_stopping import Measures
from training.finetune import Settings, class_weights, fine_tune, initial_model, soft_targets
from training.gate import Judgement, judge
from training.inference import ngram_logits, outputs, sentence_vectors
from training.near_copies import group
from training.ngrams import scaled
from training.own_texts import read_own, require_enough
from training.source_files import write_source
from training.split import CHECKING, HELD_OUT, TRAINING, split
from training.start import read_start
from training.survey import DOUBTS_HEADER, Survey
from training.work_folder import folder_of, locked, require_outside, work_folder, write_json, write_table
from worker.engines.bert import BertClassifier
from worker.engines.factory import build_engine
from worker.evaluate.classify import as_question, classify
from worker.packing.make import Recipe, install, make_pack
from worker.packing.origin import find_origin
from worker.packing.terminal import raise_if
from worker.packs.ngrams import NgramHead, write_ngrams
from worker.packs.pack import NGRAMS_FILE, Pack, PackError, file_sha256
from worker.scoring.classifier import Classifier

LONGEST = 512  # tokens that a pack reads of a text
LONGEST_LEARNT = 256  # tokens of a text that are trained on
CALIBRATION_TEXTS = 300  # texts, evenly spaced in the file, that int8 gets its ranges from
# The gate judges the pack itself, so int8 may differ more from fp32 than in a pack that nobody judges.
MIN_AGREEMENT = 0.97
THE_START = "the start"
_LABELS_FILE = "labels.json"
_PARTS = ("training", "checking", "held_out", "near_copies")
_PARTS_LINE = (
    "{training:,} texts to learn from, {checking:,} to check passes by, {held_out:,} to judge by; "
    "left out: {near_copies:,} near copies of these, {unlabelled:,} without a label"
)

Numbers = NDArray[np.int64]


class Tuning:
    """The checked inputs of a run, and with `run` the run itself."""

    def __init__(self, options: argparse.Namespace, stopped: Event) -> None:
        """Raise SentiqError for inputs that cannot be used. `stopped` is set by a signal."""
        require_device(options.device)
        if options.threads:
            torch.set_num_threads(options.threads)
        self._options, self._stopped = options, stopped
        self._folder = folder_of(options.out)
        require_outside(self._folder, filter(None, (options.file, Path(options.start), options.labels)))
        if options.out.resolve() == Path(options.start).resolve():
            raise PackError(f"--out {options.out}: is the start, which would be overwritten")
        self._start = read_start(options.start)
        self._own = read_own(options.file, self._start.labels, options.labels)
        self._groups = group(self._own.texts)
        require_enough(self._own, self._groups)
        self._parts = split(self._own.texts, self._groups, self._own.numbers, options.seed)
        self._same_labels = self._own.labels == self._start.labels

    def run(self) -> Judgement:
        """Return the judgement. The pack is at OUT if it passed, else OUT is as it was before.

        Raises SentiqError for a folder `OUT.work` that another run uses, or of which the state is damaged.
        """
        with locked(self._options.out):
            work_folder(self._options.out, self._inputs())
            return self._judged()

    def _judged(self) -> Judgement:
        counts = dict(zip(_PARTS, np.bincount(self._parts, minlength=len(_PARTS)).tolist(), strict=True))
        counts["unlabelled"] = self._own.unlabelled
        print(_PARTS_LINE.format(**counts), flush=True)
        model = self._initial_model()
        vectors = sentence_vectors(model, self._corpus(slice(None)), self._options.device)
        survey = Survey(self._own, self._groups, self._parts, vectors)
        self._write_doubts(survey)
        figures = self._inputs() | {"texts": counts, "learning_curve": survey.learning_curve()}
        baselines = self._verdicts_of_start(model, vectors) if self._same_labels else survey.baselines()
        passes = self._train(model)
        pack = make_pack(self._recipe(), lambda: raise_if(self._stopped))
        true = self._own.numbers[self._parts == HELD_OUT]
        judgement = judge(true, self._verdicts(pack), baselines, len(pack.labels))
        figures |= {"passes": list(map(asdict, passes)), "held_out": judgement.figures}
        figures |= {"pack": pack.measured, "written": judgement.passed, "reason": judgement.reason}
        if judgement.passed:
            install(pack, self._options.out)
        shutil.rmtree(pack.directory, ignore_errors=True)
        write_json(self._folder / "figures.json", figures)
        print(f"figures: {self._folder / 'figures.json'}", flush=True)
        return judgement

    def _inputs(self) -> dict[str, Any]:
        """Return what the result depends on. With other inputs a run starts anew."""
        numbers = np.bincount(self._own.numbers).tolist()
        return {
            "file": str(self._options.file),
            "sha256": file_sha256(self._options.file),
            "names": file_sha256(self._options.labels) if self._options.labels else None,
            "labels": dict(zip(self._own.labels.ids, numbers, strict=True)),
            "start": self._start.id,
            "start_revision": self._start.revision,
            **{name: getattr(self._options, name) for name in ("passes", "rate", "batch_tokens", "seed")},
        }

    def _initial_model(self) -> BertClassifier:
        labels, seed = len(self._own.labels), self._options.seed
        model = initial_model(self._start.source, labels, keep_head=self._same_labels, seed=seed)
        return model.to(self._options.device).eval()

    def _corpus(self, rows: Any) -> Corpus:
        """Return the texts of some rows as a pack reads them."""
        numbers = np.arange(len(self._own.texts))[rows]
        texts = [self._own.texts[number] for number in numbers.tolist()]
        targets = one_hot(self._own.numbers[numbers], len(self._own.labels))
        shape = self._start.source.shape
        return encode(texts, targets, self._start.source.vocabulary, min(LONGEST, shape.positions))

    def _write_doubts(self, survey: Survey) -> None:
        path = self._folder / "doubtful.csv"
        write_table(path, DOUBTS_HEADER, survey.doubtful_labels())
        print(f"labels that may be wrong: {path}", flush=True)

    def _verdicts_of_start(
        self, model: BertClassifier, vectors: NDArray[np.float32]
    ) -> Mapping[str, Numbers]:
        """Return the label numbers that the start gives the held-out texts, with its n-gram head."""
        held_out = self._parts == HELD_OUT
        with torch.inference_mode():
            read = torch.from_numpy(vectors[held_out]).to(self._options.device)
            logits = model.classifier(read).cpu().numpy()
        if self._start.ngrams:
            logits = logits + ngram_logits(self._start.ngrams, self._corpus(held_out))
        return {THE_START: logits.argmax(axis=1)}

    def _train(self, model: BertClassifier) -> list[Measures]:
        """Train the model and write its checkpoint. Return the measures of each pass."""
        labels, options, source = self._own.labels, self._options, self._start.source
        texts = self._own.where(self._parts == TRAINING).texts
        numbers = self._own.numbers[self._parts == TRAINING]
        targets, weights = soft_targets(numbers, len(labels)), class_weights(numbers, len(labels))
        longest = min(LONGEST_LEARNT, source.shape.positions)
        training = encode(texts, targets, source.vocabulary, longest, weights)
        settings = Settings(options.passes, options.rate, options.batch_tokens, options.seed, options.device)
        checking = self._corpus(self._parts == CHECKING)
        passes = fine_tune(model, training, checking, settings, self._folder)
        shape = replace(source.shape, labels=len(labels))
        write_source(self._folder / "source", model.state_dict(), shape, labels, source.vocabulary)
        if self._start.ngrams and self._same_labels:
            self._write_ngrams(self._start.ngrams, model, checking)
        write_json(self._folder / _LABELS_FILE, labels.described())
        return passes

    def _write_ngrams(self, head: NgramHead, model: BertClassifier, checking: Corpus) -> None:
        """Write the start's n-gram head, with the scale that helps the tuned encoder the most."""
        encoder, ngrams = outputs(model, checking, "cpu"), ngram_logits(head, checking)
        numbers = checking.targets.argmax(axis=1).tolist()
        fitted = scaled(head, encoder.astype(np.float64), ngrams.astype(np.float64), numbers)
        write_ngrams(fitted, self._folder / "source" / NGRAMS_FILE)

    def _recipe(self) -> Recipe:
        """Return how to make the pack, calibrated on the texts that passes were checked by."""
        source = self._folder / "source"
        learnt = self._own.where(self._parts == TRAINING).texts
        return Recipe(
            source=source,
            out=self._folder / "pack",
            id=self._options.out.resolve().name,
            revision=find_origin(str(source), None).revision,
            calibration=learnt[:: -(-len(learnt) // CALIBRATION_TEXTS)],
            labelled=self._own.where(self._parts == CHECKING),
            labels=self._folder / _LABELS_FILE,
            max_tokens=LONGEST,
            min_agreement=MIN_AGREEMENT,
        )

    def _verdicts(self, pack: Pack) -> Numbers:
        """Return the label numbers that the pack gives the held-out texts, as a worker does."""
        engine = build_engine(pack, "openvino", device="cpu", threads=1)
        classifier = Classifier(pack, engine, batch_tokens=engine.batch_tokens)
        texts = self._own.where(self._parts == HELD_OUT).texts
        return np.array([verdict.number for verdict in classify(classifier, list(map(as_question, texts)))])
