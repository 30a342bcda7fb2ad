"""The default engine: OpenVINO on CPU threads."""

import numpy as np
from numpy.typing import NDArray

from worker.engines.engine import EngineError
from worker.packs import Pack

try:
    import openvino
except ImportError as error:
    raise EngineError("openvino is not installed: pip install -r requirements/worker.lock") from error


class OpenVinoEngine:
    """Static int8 on the CPU. A text's logits do not depend on the other rows of its batch."""

    def __init__(self, pack: Pack, *, device: str, threads: int) -> None:
        if device != "cpu":
            raise EngineError(f"engine openvino runs on cpu, not {device}; use engine torch there")
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # Some processors would otherwise answer in bf16, and verdicts would depend on the machine.
            "INFERENCE_PRECISION_HINT": "f32",
            # The worker pins its children itself; OpenVINO would put them all on the first cores.
            "ENABLE_CPU_PINNING": False,
            # Kernels made for a shape are kept for the next batch of that shape; this many cover them all.
            "CPU_RUNTIME_CACHE_CAPACITY": 100,
        }
        compiled = openvino.Core().compile_model(pack.path("model.xml"), "CPU", options)
        self._request = compiled.create_infer_request()

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Engine`."""
        outputs = self._request.infer({"ids": ids, "mask": mask}, share_inputs=True)
        return np.array(outputs["logits"], np.float32)
