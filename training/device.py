"""What the device of a training run can do."""

from __future__ import annotations

from pathlib import Path

import torch

from tasks.errors import SentiqError


class NoDeviceError(SentiqError):
    """The device of a training run does not exist."""

    code = "no_device"


def require_device(device: str) -> None:
    """Raise NoDeviceError if torch cannot compute on the device, `cpu` or `cuda`."""
    if device == "cuda" and not torch.cuda.is_available():
        raise NoDeviceError(f"--device cuda: torch {torch.__version__} finds no GPU; the default is cpu")


def has_bf16(device: str) -> bool:
    """Return whether the device computes bf16 natively instead of emulating it."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags
