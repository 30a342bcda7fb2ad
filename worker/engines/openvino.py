"""The default engine: OpenVINO on CPU threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worker.engines.engine import EngineError, Tokens
from worker.packs.pack import Pack

try:
    import openvino
except ImportError as error:
    raise EngineError("openvino is not installed: pip install -r requirements/worker.lock") from error

BATCH_TOKENS = 1_024


class OpenVinoEngine:
    """Runs the pack's graph. A row's logits do not depend on the other rows of its batch.

    A graph that was measured to depend on them gets one row a forward.
    """

    def __init__(self, pack: Pack, *, device: str, threads: int) -> None:
        self.require(device)
        self.batch_tokens = BATCH_TOKENS if pack.batchable else 1
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # Some processors would otherwise compute in bf16, and verdicts would depend on the machine.
            "INFERENCE_PRECISION_HINT": "f32",
            # The worker pins its children itself; OpenVINO would pin them all to the first cores.
            "ENABLE_CPU_PINNING": False,
            # The cache holds a kernel for each operation and shape. Compiling one costs more than a short
            # text, and a smaller cache would evict kernels before a mix of lengths reuses them.
            "CPU_RUNTIME_CACHE_CAPACITY": 5_000,
        }
        path = pack.path("model.xml")
        try:
            self._request = openvino.Core().compile_model(path, "CPU", options).create_infer_request()
        except RuntimeError as error:
            cause = str(error).splitlines()[-1]
            raise EngineError(f"model.xml of pack {pack.id}: OpenVINO cannot load it: {cause}") from error

    @staticmethod
    def require(device: str) -> None:
        """Raise EngineError unless `device` is cpu."""
        if device != "cpu":
            raise EngineError(f"engine openvino runs on cpu, not {device}; use engine torch there")

    def forward(
        self, ids: Tokens, mask: Tokens, segments: Tokens | None, logits: NDArray[np.float32]
    ) -> None:
        """Write the logits; see `LoadedEngine`."""
        inputs = {"ids": ids, "mask": mask} | ({} if segments is None else {"segments": segments})
        self._request.set_tensor("logits", openvino.Tensor(logits, shared_memory=True))
        self._request.infer(inputs, share_inputs=True, share_outputs=True)
