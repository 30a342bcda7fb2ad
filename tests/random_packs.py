"""Packs with any labels, made without torch: another pack's graph with random weights in its last layer."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from local.processes import ROOT
from samples.shipped import read_reviews
from tasks.vocabulary.labels import LabelSet
from worker.packing.inputs import as_inputs, encode
from worker.packing.known_labels import known_labels
from worker.packs.pack import Input, Pack, file_sha256, load_pack, write_pack
from worker.scoring.batches import Row, segment_ids

_SAMPLE_STEP = 3  # a third of the shipped reviews
_NO_TRANSPOSE = (False, False)
_LOGIT_DEVIATION = 4.0  # of the logits over the samples: most verdicts are confident
_SEGMENT_DEVIATION = 0.5  # far more than that of the embeddings: what a model reads depends on the segments


def labels_named(*names: str) -> LabelSet:
    """Return the labels that names of the table in `worker.packing.known_labels` stand for."""
    labels = tuple(label for label in known_labels(names) if label is not None)
    assert len(labels) == len(names)
    return LabelSet(labels)


TWO = labels_named("负面", "正面")
THREE = labels_named("负面", "中性", "正面")
SEVEN = labels_named("恐惧", "愤怒", "厌恶", "喜好", "悲伤", "高兴", "惊讶")


def write_random_pack(
    directory: Path,
    labels: LabelSet,
    reads: Input = "text",
    *,
    pack_id: str = "random",
    base: Path = ROOT / "models" / "embedded",
) -> Pack:
    """Write a pack to `directory`, which must not exist. Over the shipped reviews, it gives every label."""
    pack = load_pack(base)
    directory.mkdir(parents=True)
    shutil.copyfile(pack.path("vocab.txt"), directory / "vocab.txt")
    texts = as_inputs([review.text for review in read_reviews()][::_SAMPLE_STEP], reads)
    rows = encode(texts, directory / "vocab.txt", pack.max_tokens)
    graph = _graph(pack, labels, reads, rows)
    openvino.save_model(graph, directory / "model.xml", compress_to_fp16=False)
    made = replace(
        pack,
        directory=directory,
        id=pack_id,
        revision="1",
        labels=labels,
        input=reads,
        architecture={**pack.architecture, "labels": len(labels)},
        files={path.name: file_sha256(path) for path in directory.iterdir()},
        measured={},
        temperature=1.0,
        uncertain_below=1 / len(labels),
        reason="random weights",
    )
    write_pack(made)
    return made


def _graph(pack: Pack, labels: LabelSet, reads: Input, rows: Sequence[Row]) -> openvino.Model:
    graph = openvino.Core().read_model(pack.path("model.xml"))
    inputs = [*graph.get_parameters(), *([_add_segments(graph)] if reads == "pair" else [])]
    # The last layer reads the only hyperbolic tangent of a BERT classifier.
    (pooled,) = (node for node in graph.get_ops() if node.get_type_name() == "Tanh")
    weight, bias = _last_layer(_run(openvino.Model([pooled.output(0)], inputs), rows), len(labels))
    logits = ops.add(ops.matmul(pooled, ops.constant(weight.T.copy()), *_NO_TRANSPOSE), ops.constant(bias))
    logits.output(0).get_tensor().set_names({"logits"})
    return openvino.Model([logits.output(0)], inputs)


def _add_segments(graph: openvino.Model) -> openvino.Node:
    """Add random embeddings of segments to those of tokens. Return the new input."""
    segments = ops.parameter([-1, -1], np.int64, "segments")
    segments.output(0).get_tensor().set_names({"segments"})
    embedded = next(
        node
        for node in graph.get_ordered_ops()
        if node.get_type_name() == "Add" and node.get_output_partial_shape(0).rank.get_length() == 3
    )
    width = embedded.get_output_partial_shape(0)[2].get_length()
    table = ops.constant(
        np.random.default_rng(1).normal(0, _SEGMENT_DEVIATION, (2, width)).astype(np.float32)
    )
    readers = embedded.output(0).get_target_inputs()
    summed = ops.add(embedded, ops.gather(table, segments, ops.constant(0)))
    for reader in readers:
        reader.replace_source_output(summed.output(0))
    return segments


def _run(graph: openvino.Model, rows: Sequence[Row]) -> NDArray[np.float32]:
    """Return the output (n, width) of a graph for each row."""
    compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = []
    for row in rows:
        ids, mask = np.array([row], np.int64), np.ones((1, len(row)), np.int64)
        inputs = {"ids": ids, "mask": mask, "segments": segment_ids(ids, mask, row[-1])}
        named = {port.get_any_name(): inputs[port.get_any_name()] for port in compiled.inputs}
        outputs.append(np.array(compiled(named)[0]))
    return np.concatenate(outputs)


def _last_layer(pooled: NDArray[np.float32], labels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weights (labels, width) and a bias (labels,), by which the samples (n, width) have every label.

    The labels lie on a circle in the plane in which the samples differ the most.
    """
    mean = pooled.mean(axis=0)
    plane = np.linalg.svd(pooled - mean, full_matrices=False)[2][:2]
    plane /= ((pooled - mean) @ plane.T).std(axis=0)[:, None]
    angles = 2 * np.pi * np.arange(labels) / labels
    weight = _LOGIT_DEVIATION * np.stack([np.cos(angles), np.sin(angles)], 1) @ plane
    return weight.astype(np.float32), (-weight @ mean).astype(np.float32)
