"""Embedding tables that stay int8 in memory."""

import openvino
from openvino import opset13 as ops


def scale_after_lookup(graph: openvino.Model) -> openvino.Model:
    """Multiply the rows that are looked up by their scales, instead of every row of an int8 table beforehand.

    The same products, bit for bit; but a graph that scales the table makes each process expand it to fp32.
    """
    for lookup in graph.get_ordered_ops():
        if lookup.get_type_name() != "Gather":
            continue
        scaled, ids, axis = (port.get_source_output() for port in lookup.inputs())
        table = _table(scaled.get_node())
        if table is not None:
            rows, scales = (ops.gather(part, ids, axis) for part in table)
            found = ops.multiply(ops.convert(rows, "f32"), scales)
            for target in lookup.output(0).get_target_inputs():
                target.replace_source_output(found.output(0))
    graph.validate_nodes_and_infer_types()
    return graph


def _table(scaled: openvino.Node) -> tuple[openvino.Output, openvino.Output] | None:
    """The int8 rows and their fp32 scales (rows, 1) whose product `scaled` is, or None when it is none."""
    if scaled.get_type_name() != "Multiply":
        return None
    converted, scales = (port.get_source_output() for port in scaled.inputs())
    if converted.get_node().get_type_name() != "Convert":
        return None
    rows = converted.get_node().input(0).get_source_output()
    whole = rows.get_node().get_type_name() == "Constant" and scales.get_shape()[0] == rows.get_shape()[0]
    return (rows, scales) if whole else None
