"""Engines: what runs a pack."""

from typing import Protocol

from worker.engines.checked import CheckedEngine, LoadedEngine
from worker.engines.engine import EngineError
from worker.packs.pack import Pack


class EngineFactory(Protocol):
    """An engine's class: loads a pack in the process that will use it, since no engine survives a fork."""

    def __call__(self, pack: Pack, *, device: str, threads: int) -> LoadedEngine:
        """Raise EngineError, or PackError when the pack leaves out a file that the engine needs."""
        ...

    def require(self, device: str) -> None:
        """Raise EngineError when this machine has no such device. A parent may ask: nothing is run."""
        ...


def find_engine(name: str) -> EngineFactory:
    """Import the engine `name` (openvino or torch) with its library. Raises EngineError."""
    # Imported here because each brings a library that the other's users may not have installed.
    if name == "openvino":
        from worker.engines.openvino import OpenVinoEngine  # noqa: PLC0415

        return OpenVinoEngine
    if name == "torch":
        from worker.engines.torch import TorchEngine  # noqa: PLC0415

        return TorchEngine
    raise EngineError(f"engine {name!r} is unknown; choose openvino or torch")


def build_engine(pack: Pack, name: str, *, device: str, threads: int) -> CheckedEngine:
    """Load `pack` into the engine `name` on `device` (cpu or cuda), with `threads` CPU threads.

    Build it in the process that uses it: neither engine survives a fork. Raises EngineError or PackError.
    """
    return CheckedEngine(find_engine(name)(pack, device=device, threads=threads), pack)
