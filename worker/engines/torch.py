"""The reference engine: torch in fp32 on CPU threads, or in mixed precision on a GPU."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from worker.engines.engine import EngineError, Tokens
from worker.packs.pack import REFERENCE_FILE, Pack

try:
    import torch

    from worker.engines.bert import BertClassifier, BertShape
    from worker.packs.reference import read_reference
except ImportError as error:
    raise EngineError(f"engine torch needs {error.name}: pip install torch==2.13.0 safetensors") from error

CPU_BATCH_TOKENS = 1_024
# Small batches leave a GPU idle between matrix products.
CUDA_BATCH_TOKENS = 32_768


class TorchEngine:
    """Runs the pack's reference weights, in fp32 or in mixed precision."""

    def __init__(self, pack: Pack, *, device: str, threads: int, mixed: torch.dtype | None = None) -> None:
        """Load the weights. `mixed` is the type of matrix products; default: fp32, on a GPU bf16 or fp16."""
        self.require(device)
        torch.set_num_threads(threads)
        self.batch_tokens = CUDA_BATCH_TOKENS if device == "cuda" else CPU_BATCH_TOKENS
        self._device = device
        self._mixed = mixed or (_fast_type() if device == "cuda" else None)
        self._model = BertClassifier(BertShape.from_architecture(pack.architecture))
        self._model.load_state_dict(read_reference(pack.path(REFERENCE_FILE)))
        self._model.eval().to(device)

    @staticmethod
    def require(device: str) -> None:
        """Raise EngineError when `device` is cuda and torch finds no GPU."""
        # torch's own check would initialise CUDA, and children forked later could not use it.
        os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
        if device == "cuda" and not torch.cuda.is_available():
            raise EngineError(
                "device cuda: torch finds no GPU; install a CUDA build of torch and a driver, or use cpu"
            )

    def forward(
        self, ids: Tokens, mask: Tokens, segments: Tokens | None, logits: NDArray[np.float32]
    ) -> None:
        """Write the logits; see `LoadedEngine`. Inputs go to a GPU without waiting for the copy."""
        inputs = torch.from_numpy(np.stack([ids, mask] if segments is None else [ids, mask, segments]))
        if self._device == "cuda":
            inputs = inputs.pin_memory().to(self._device, non_blocking=True)
        mixed = torch.autocast(self._device, self._mixed, enabled=self._mixed is not None)
        with torch.inference_mode(), mixed:
            torch.from_numpy(logits).copy_(self._model(*inputs))


def _fast_type() -> torch.dtype:
    """Return the fastest type for matrix products on this GPU."""
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
