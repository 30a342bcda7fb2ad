"""Our side of the comparison: an fp32 pack of a checkpoint, and the classifier that workers run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import openvino

from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from worker.engines.factory import build_engine
from worker.packing.graph import export_graph
from worker.packing.source import read_source
from worker.packs.pack import REFERENCE_FILE, Pack
from worker.packs.reference import Reference, write_reference
from worker.scoring.classifier import Classifier

ENGINES = ("torch", "openvino")
_BATCH_TOKENS = 1024


def exact_pack(checkpoint: Path, out: Path) -> Pack:
    """Return a pack at `out` with the fp32 graph and the exact weights of the checkpoint."""
    out.mkdir()
    source = read_source(checkpoint)
    write_reference(source.weights, Reference.EXACT, out / REFERENCE_FILE)
    graph = export_graph(source.shape, source.weights, pairs=False)
    openvino.save_model(graph, out / "model.xml", compress_to_fp16=False)
    shutil.copyfile(source.vocabulary, out / "vocab.txt")
    return Pack(
        directory=out,
        id=checkpoint.name,
        revision="parity",
        labels=NEGATIVE_POSITIVE,
        max_tokens=source.shape.positions,
        precision="fp32",
        architecture=asdict(source.shape),
        temperature=1.0,
        files={path.name: "" for path in out.iterdir()},
        measured={},
    )


def classifiers(pack: Pack, threads: int) -> Iterator[tuple[str, Classifier]]:
    """Yield the name of each engine with a classifier on it."""
    for name in ENGINES:
        engine = build_engine(pack, name, device="cpu", threads=threads)
        yield name, Classifier(pack, engine, batch_tokens=_BATCH_TOKENS)
