"""Graphs: a BERT checkpoint in OpenVINO's form, in fp32 and in static int8."""

from collections.abc import Mapping, Sequence

import nncf
import numpy as np
import openvino
import torch
from torch import Tensor

from worker.engines.bert import BertClassifier, BertShape
from worker.packing.embeddings import scale_after_lookup
from worker.scoring.batches import Row

# How much of the spread of activations moves into the weights; NNCF's own 0.95 leaves more drift.
SMOOTHING = 0.5


def export_graph(shape: BertShape, weights: Mapping[str, Tensor]) -> openvino.Model:
    """Graph with the inputs `ids` and `mask`, int64 (n, length), and the output `logits`, fp32 (n, 2)."""
    model = BertClassifier(shape).eval()
    model.load_state_dict(weights)
    example = torch.ones(2, 8, dtype=torch.int64)
    graph = openvino.convert_model(
        model,
        example_input=(example, example),
        input=[("ids", [-1, -1], np.int64), ("mask", [-1, -1], np.int64)],
    )
    for port, name in zip((*graph.inputs, *graph.outputs), ("ids", "mask", "logits"), strict=True):
        port.get_tensor().set_names({name})
    return graph


def quantise(exact: openvino.Model, rows: Sequence[Row]) -> openvino.Model:
    """The graph in static int8, its activation ranges taken from the rows."""
    samples = [{"ids": np.array([row], np.int64), "mask": np.ones((1, len(row)), np.int64)} for row in rows]
    quantised = nncf.quantize(
        exact,
        nncf.Dataset(samples),
        preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(samples),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=SMOOTHING)
        ),
    )
    return scale_after_lookup(quantised)


def joined(rows: Sequence[Row], limit: int) -> list[Row]:
    """Rows of nearly `limit` tokens, of neighbouring ones joined.

    Quantised on them, long texts drift less and short ones no more: activations reach further in long rows.
    """
    begin, end = rows[0][0], rows[0][-1]
    inner: list[list[int]] = [[]]
    for row in rows:
        if inner[-1] and len(inner[-1]) + len(row) > limit:
            inner.append([])
        inner[-1] += row[1:-1]
    return [[begin, *tokens, end] for tokens in inner]
