"""Write the checkpoint as ONNX in int8 beside it, as infinity's engine `optimum` loads it.

optimum exports, and onnxruntime quantizes the weights of the matrix products by its dynamic recipe for CPUs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic
from optimum.exporters.onnx import main_export


def main() -> None:
    """Export the checkpoint that the first argument names, unless it was exported before."""
    checkpoint = Path(sys.argv[1])
    out = checkpoint / "onnx"
    if not (out / "model_quantized.onnx").is_file():
        main_export(str(checkpoint), output=out, task="text-classification", do_validation=False)
        quantize_dynamic(out / "model.onnx", out / "model_quantized.onnx", weight_type=QuantType.QInt8)
        (out / "model.onnx").unlink()


if __name__ == "__main__":
    main()
