"""The reference engine: torch in fp32 on CPU threads, or on a GPU with automatic mixed precision."""

import numpy as np
from numpy.typing import NDArray

from worker.engines.engine import EngineError
from worker.packs import REFERENCE_FILE, Pack

try:
    import torch

    from worker.engines.bert import BertClassifier, BertShape
    from worker.packs.reference import read_reference
except ImportError as error:
    raise EngineError(f"engine torch needs {error.name}: pip install torch==2.13.0 safetensors") from error


class TorchEngine:
    """The fp32 original of the pack's int8 graph; on `cuda` matrix products run in bf16."""

    def __init__(self, pack: Pack, *, device: str, threads: int) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise EngineError(
                "device cuda: torch finds none; install a CUDA build of torch and a driver, or use cpu"
            )
        torch.set_num_threads(threads)
        self._device = device
        self._model = BertClassifier(BertShape.from_architecture(pack.architecture))
        self._model.load_state_dict(read_reference(pack.path(REFERENCE_FILE)))
        self._model.eval().to(device)

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Engine`."""
        mixed = torch.autocast(self._device, torch.bfloat16, enabled=self._device == "cuda")
        with torch.inference_mode(), mixed:
            logits = self._model(
                torch.from_numpy(ids).to(self._device), torch.from_numpy(mask).to(self._device)
            )
        rows: NDArray[np.float32] = logits.float().cpu().numpy()
        return rows
