"""Build an engine by name, importing its library only then."""

from __future__ import annotations

from typing import Protocol

from worker.engines.checked import CheckedEngine, LoadedEngine
from worker.engines.engine import EngineError
from worker.packs.pack import Pack


class EngineFactory(Protocol):
    """An engine's class. It loads a pack in the process that uses it, since no engine survives a fork."""

    def __call__(self, pack: Pack, *, device: str, threads: int) -> LoadedEngine:
        """Return the loaded engine. Raises EngineError, or PackError when the pack lacks a file it needs."""
        ...

    def require(self, device: str) -> None:
        """Raise EngineError when this machine has no such device. It runs nothing: a fork stays safe."""
        ...


def find_engine(name: str) -> EngineFactory:
    """Return the class of the engine `name` (openvino or torch). Raises EngineError."""
    # Imported here: each engine needs a library, and only the chosen one has to be installed.
    if name == "openvino":
        from worker.engines.openvino import OpenVinoEngine  # noqa: PLC0415

        return OpenVinoEngine
    if name == "torch":
        from worker.engines.torch import TorchEngine  # noqa: PLC0415

        return TorchEngine
    raise EngineError(f"engine {name!r} is unknown; choose openvino or torch")


def build_engine(pack: Pack, name: str, *, device: str, threads: int) -> CheckedEngine:
    """Return the engine `name` with `pack` loaded on `device` (cpu or cuda), using `threads` CPU threads.

    Call it in the process that uses the engine: no engine survives a fork. Raises EngineError or PackError.
    """
    return CheckedEngine(find_engine(name)(pack, device=device, threads=threads), pack)
