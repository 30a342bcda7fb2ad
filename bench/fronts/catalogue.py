"""The servers: one process each, and as many requests at once as there are callers."""

from __future__ import annotations

from bench.load.callers import post
from bench.peers.catalogue import GUNICORN, Peer
from bench.peers.dialects import Dialect, read_one

CALLERS = 64
_APP = "bench.fronts.app:app"
_DIALECT = Dialect(lambda texts: post("/predict", {"text": texts[0]}), read_one)


def _front(name: str, package: str, *command: str) -> Peer:
    packages = (package, "flask", "redis", *(["gevent"] if "gevent" in name else []))
    return Peer(name, "fronts", packages, ((*command, _APP),), _DIALECT, _DIALECT, redis=True)


_GEVENT = ("gunicorn", "--worker-class=gevent", "--bind=127.0.0.1:{port}")
_GRANIAN = (
    "granian",
    "--interface=wsgi",
    f"--blocking-threads={CALLERS}",
    "--host=127.0.0.1",
    "--port={port}",
)

FRONTS: tuple[Peer, ...] = (
    _front("gunicorn, gevent", "gunicorn", *_GEVENT),
    _front("gunicorn, threads", "gunicorn", *GUNICORN),
    _front("granian, threads", "granian", *_GRANIAN),
)
