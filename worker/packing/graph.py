"""A BERT checkpoint as an OpenVINO graph, in fp32 and in static int8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nncf
import numpy as np
import openvino
import torch
from nncf.quantization.advanced_parameters import OverflowFix
from numpy.typing import NDArray
from openvino import opset13 as ops
from torch import Tensor

from worker.engines.bert import BertClassifier, BertShape
from worker.scoring.batches import Row, segment_ids

# Share of the activations' range that SmoothQuant moves into the weights. NNCF's default, 0.95, drifts more.
SMOOTHING = 0.5


def export_graph(shape: BertShape, weights: Mapping[str, Tensor], *, pairs: bool) -> openvino.Model:
    """Return the graph with inputs `ids`, `mask` and, for pairs, `segments`, all int64 (n, length).

    Its output is `logits`, fp32 (n, labels).
    """
    model = BertClassifier(shape).eval()
    model.load_state_dict(weights)
    names = ("ids", "mask", "segments")[: 3 if pairs else 2]
    example = torch.ones(2, 8, dtype=torch.int64)
    graph = openvino.convert_model(
        model,
        example_input=(example,) * len(names),
        input=[(name, [-1, -1], np.int64) for name in names],
    )
    for port, name in zip((*graph.inputs, *graph.outputs), (*names, "logits"), strict=True):
        port.get_tensor().set_names({name})
    return graph


def quantise(exact: openvino.Model, rows: Sequence[Row]) -> openvino.Model:
    """Return the graph in static int8, with the ranges of its activations taken from the rows."""
    samples = [_inputs(exact, row) for row in rows]
    quantised = nncf.quantize(
        exact,
        nncf.Dataset(samples),
        preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(samples),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            # Weights of 7 bits: sums of products stay within the 16 bits of processors without VNNI.
            overflow_fix=OverflowFix.ENABLE,
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=SMOOTHING),
        ),
    )
    return _scale_after_lookup(quantised)


def _inputs(graph: openvino.Model, row: Row) -> dict[str, NDArray[np.int64]]:
    """Return the inputs of a graph for one row, which ends in [SEP]."""
    ids, mask = np.array([row], np.int64), np.ones((1, len(row)), np.int64)
    inputs = {"ids": ids, "mask": mask, "segments": segment_ids(ids, mask, row[-1])}
    return {port.get_any_name(): inputs[port.get_any_name()] for port in graph.inputs}


def _scale_after_lookup(graph: openvino.Model) -> openvino.Model:
    """Scale the embeddings that are looked up, instead of every row of the int8 table beforehand.

    The products are the same, bit for bit. Scaling the whole table makes each process expand it to fp32.
    """
    for lookup in graph.get_ordered_ops():
        if lookup.get_type_name() != "Gather":
            continue
        scaled, ids, axis = (port.get_source_output() for port in lookup.inputs())
        table = _int8_table(scaled.get_node())
        if table is not None:
            rows, scales = (ops.gather(part, ids, axis) for part in table)
            embeddings = ops.multiply(ops.convert(rows, "f32"), scales)
            for target in lookup.output(0).get_target_inputs():
                target.replace_source_output(embeddings.output(0))
    graph.validate_nodes_and_infer_types()
    return graph


def _int8_table(scaled: openvino.Node) -> tuple[openvino.Output, openvino.Output] | None:
    """Return the int8 rows and fp32 scales (rows, 1) that `scaled` multiplies; None for any other node."""
    if scaled.get_type_name() != "Multiply":
        return None
    converted, scales = (port.get_source_output() for port in scaled.inputs())
    if converted.get_node().get_type_name() != "Convert":
        return None
    rows = converted.get_node().input(0).get_source_output()
    is_table = rows.get_node().get_type_name() == "Constant" and scales.get_shape()[0] == rows.get_shape()[0]
    return (rows, scales) if is_table else None
