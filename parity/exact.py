"""Our side of the comparison: an fp32 pack of a checkpoint, and the classifier that workers run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray

from parity.stock import Text
from worker.engines.factory import build_engine
from worker.evaluate.classify import as_question, classify
from worker.packing.graph import export_graph
from worker.packing.inputs import encode
from worker.packing.labels import read_input, read_labels
from worker.packing.source import read_source
from worker.packs.pack import REFERENCE_FILE, Pack
from worker.packs.reference import Reference, write_reference
from worker.scoring.batches import Row, segment_ids
from worker.scoring.classifier import Classifier

ENGINES = ("torch", "openvino")
_BATCH_TOKENS = 1024
_UNLIMITED = 2**20

Probabilities = NDArray[np.float64]


def exact_pack(checkpoint: Path, out: Path) -> Pack:
    """Return a pack at `out` with the fp32 graph and the exact weights of the checkpoint."""
    out.mkdir()
    source = read_source(checkpoint)
    write_reference(source.weights, Reference.EXACT, out / REFERENCE_FILE)
    reads = read_input(checkpoint)
    graph = export_graph(source.shape, source.weights, pairs=reads == "pair")
    openvino.save_model(graph, out / "model.xml", compress_to_fp16=False)
    shutil.copyfile(source.vocabulary, out / "vocab.txt")
    return Pack(
        directory=out,
        id=checkpoint.name,
        revision="parity",
        labels=read_labels(checkpoint, source.shape.labels),
        max_tokens=source.shape.positions,
        precision="fp32",
        architecture=asdict(source.shape),
        temperature=1.0,
        files={path.name: "" for path in out.iterdir()},
        measured={},
        input=reads,
    )


def probabilities(pack: Pack, engine: str, texts: Sequence[Text], threads: int) -> Probabilities:
    """Return a worker's probabilities (n, labels) of texts or pairs on an engine."""
    built = build_engine(pack, engine, device="cpu", threads=threads)
    classifier = Classifier(pack, built, batch_tokens=_BATCH_TOKENS)
    verdicts = classify(classifier, list(map(as_question, texts)))
    return np.array([[verdict.kept[number] for number in range(len(pack.labels))] for verdict in verdicts])


def worker_ids(pack: Pack, texts: Sequence[Text]) -> list[list[list[int]]]:
    """Return a worker's token ids and segment ids of each text or pair, without truncation."""
    if pack.input == "pair":
        return [[list(row), _segments(row)] for row in encode(texts, pack.path("vocab.txt"), _UNLIMITED)]
    built = build_engine(pack, ENGINES[0], device="cpu", threads=1)
    classifier = Classifier(pack, built, batch_tokens=_BATCH_TOKENS)
    return [[each.ids, [0] * len(each.ids)] for each in classifier.tokenize(map(str, texts))]


def _segments(row: Row) -> list[int]:
    ids = np.array([row])
    segments: list[int] = segment_ids(ids, np.ones_like(ids), row[-1])[0].tolist()
    return segments
