"""The peers: what starts each of them, how it is asked, and where its advice for a CPU comes from.

Another peer is a server in `servers/`, a file in `requirements/peers`, and an entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.peers.dialects import INFINITY, INFINITY_LIST, LIST, LISTED, SINGLE, Dialect

# torch gives each process a thread a core; with a process a core they would wait for one another.
_ONE_THREAD = {"OMP_NUM_THREADS": "1"}
# The Flask in front of queues: its threads wait for results.
GUNICORN = ("gunicorn", "--worker-class=gthread", "--threads=64", "--bind=127.0.0.1:{port}")
_CELERY = ("celery", "-A", "bench.peers.servers.celery_tasks", "worker", "--loglevel=warning")


@dataclass(frozen=True)
class Peer:
    """A way to serve the model: as it comes, or as its documents advise for a CPU.

    Each command is a module with its arguments; `{port}` and `{checkpoint}` stand in them. `advice` says what
    was changed and which document says so. `prepare` is a command that ends before the others start.
    """

    name: str
    environment: str
    packages: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]
    dialect: Dialect
    bulk: Dialect
    checkpoint: str = "transformers"
    redis: bool = False
    advice: str = ""
    prepare: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def manner(self) -> str:
        """Return how the peer is set up."""
        return "as advised" if self.advice else "as it comes"

    @property
    def key(self) -> str:
        """Return the name and the manner."""
        return f"{self.name}, {self.manner}"


def _server(module: str, *arguments: str) -> tuple[tuple[str, ...], ...]:
    return ((f"bench.peers.servers.{module}", *arguments),)


def _infinity(engine: str) -> tuple[str, ...]:
    served = ("--served-model-name", "peer", "--engine", engine, "--device", "cpu")
    shown = ("--host", "127.0.0.1", "--port", "{port}")
    return ("infinity_emb.cli", "v2", "--model-id", "{checkpoint}", *served, *shown)


_MOSEC = _server("mosec_server", "--address", "127.0.0.1", "--port", "{port}", "--timeout", "600000")
_BENTOML = (
    (
        "bentoml",
        "serve",
        "bench.peers.servers.bentoml_service:service",
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
    ),
)


def _both(  # noqa: PLR0913, PLR0917  a row of the table
    name: str,
    environment: str,
    commands: tuple[tuple[str, ...], ...],
    plain: Dialect,
    batching: Dialect,
    advice: str,
) -> tuple[Peer, Peer]:
    """Return a peer as it comes and as advised, where its server reads which of the two it is."""
    packages = (environment, "transformers", "torch")
    return (
        Peer(name, environment, packages, commands, plain, plain),
        Peer(name, environment, packages, commands, batching, batching, advice=advice, env=_ONE_THREAD),
    )


_INFINITY_PACKAGES = ("infinity-emb", "transformers", "torch", "onnxruntime")

PEERS: tuple[Peer, ...] = (
    Peer(
        "Flask, threads and a lock",
        "seed",
        ("flask", "modelscope", "transformers", "torch"),
        (("bench.peers.servers.seed",),),
        *(SINGLE, SINGLE),
        checkpoint="modelscope",
    ),
    Peer(
        "Celery and transformers",
        "celery",
        ("celery", "redis", "transformers", "torch"),
        (_CELERY, (*GUNICORN, "bench.peers.servers.celery_api:app")),
        *(SINGLE, LIST),
        redis=True,
    ),
    Peer(
        "Celery and transformers",
        "celery",
        ("celery", "redis", "transformers", "torch"),
        ((*_CELERY, "-O", "fair"), (*GUNICORN, "bench.peers.servers.celery_api:app")),
        *(SINGLE, LIST),
        redis=True,
        advice="one thread a child, a prefetch of 1: Celery's guide, Optimizing; torch's, CPU threading",
        env=_ONE_THREAD,
    ),
    *_both(
        *("LitServe", "litserve", _server("litserve_server"), SINGLE, SINGLE),
        advice="a worker a core, batches of up to 16 within 10 ms: LitServe's documents, Batching",
    ),
    *_both(
        *("mosec", "mosec", _MOSEC, SINGLE, SINGLE),
        advice="a worker a core, batches of up to 16 within 10 ms: mosec's documents, Dynamic batching",
    ),
    *_both(
        *("BentoML", "bentoml", _BENTOML, SINGLE, LISTED),
        advice="a worker a core, adaptive batches of up to 16: BentoML's documents, Adaptive batching",
    ),
    Peer(
        *("infinity", "infinity", _INFINITY_PACKAGES, (_infinity("torch"),)),
        *(INFINITY, INFINITY_LIST),
    ),
    Peer(
        *("infinity", "infinity", _INFINITY_PACKAGES, (_infinity("optimum"),)),
        *(INFINITY, INFINITY_LIST),
        advice="ONNX in int8 by the engine `optimum`, as infinity's documents advise for CPUs",
        prepare=("bench.peers.servers.infinity_export", "{checkpoint}"),
    ),
    *_both(
        *("Ray Serve", "ray", _server("ray_serve"), SINGLE, SINGLE),
        advice="a replica a core, batches of up to 16 within 10 ms: Ray's documents, Dynamic batching",
    ),
)

# Peers that are not measured, and why.
LEFT_OUT: Mapping[str, str] = {
    "TorchServe": "Its project is archived; Ray Serve is measured in its place.",
}
