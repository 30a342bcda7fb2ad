"""Engines: what runs a pack."""

from worker.engines.engine import Engine, EngineError
from worker.packs import Pack


def build_engine(pack: Pack, name: str, *, device: str, threads: int) -> Engine:
    """Load `pack` into the engine `name` (openvino, torch) on `device` (cpu, cuda), with `threads` on a CPU.

    Build it in the process that uses it: neither engine survives a fork. Raises EngineError, or PackError
    when the pack leaves out a file that the engine needs.
    """
    # Imported here because each brings a library that the other's users may not have installed.
    if name == "openvino":
        from worker.engines.openvino import OpenVinoEngine  # noqa: PLC0415

        return OpenVinoEngine(pack, device=device, threads=threads)
    if name == "torch":
        from worker.engines.torch import TorchEngine  # noqa: PLC0415

        return TorchEngine(pack, device=device, threads=threads)
    raise EngineError(f"engine {name!r} is unknown; choose openvino or torch")
