"""A Docker engine as people use it: `docker`, and `docker compose` or `docker-compose`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from local.processes import ROOT

PATIENCE_S = 900
# Builders of every age: what they all can do is what the files ask for.
_PLAIN = {"COMPOSE_DOCKER_CLI_BUILD": "0", "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT", "0")}
Done = subprocess.CompletedProcess[str]


class EngineError(Exception):
    """The engine did not do what it was told; the message is what it said."""


def run(command: Sequence[str], env: Mapping[str, str] | None = None, *, check: bool = True) -> Done:
    """Run a command in the repository; where it must not fail, what it said is in the error."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **_PLAIN, **(env or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if check and done.returncode:
        raise EngineError(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done


def docker(*arguments: str, check: bool = True) -> str:
    """Run `docker`; return what it printed."""
    return run(["docker", *arguments], check=check).stdout.strip()


@cache
def compose_command() -> tuple[str, ...]:
    """Return how compose is called here; empty where there is none."""
    if shutil.which("docker") and run(["docker", "compose", "version"], check=False).returncode == 0:
        return ("docker", "compose")
    return ("docker-compose",) if shutil.which("docker-compose") else ()


def missing() -> str:
    """Return why containers cannot be run here; empty when they can."""
    if not shutil.which("docker"):
        return "there is no docker on PATH"
    if not compose_command():
        return "there is neither `docker compose` nor `docker-compose`"
    if run(["docker", "info"], check=False).returncode:
        return "the Docker engine does not answer"
    return ""


@dataclass(frozen=True)
class Project:
    """One compose project with its variables; `.env` of the checkout is not read."""

    name: str
    env_file: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str, check: bool = True, **env: str) -> Done:
        """Run compose on it, with further variables."""
        command = [*compose_command(), "--env-file", str(self.env_file), "--project-name", self.name]
        return run([*command, *arguments], {**self.env, **env}, check=check)

    def containers(self, service: str) -> list[str]:
        """Return the ids of the containers of a service that run."""
        labels = {"com.docker.compose.project": self.name, "com.docker.compose.service": service}
        filters = [part for label in labels.items() for part in ("--filter", "label=" + "=".join(label))]
        return docker("ps", "--quiet", "--no-trunc", *filters).split()

    def inspect(self, service: str) -> list[dict[str, Any]]:
        """Return what the engine knows of these."""
        ids = self.containers(service)
        found: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
        return found

    def healthy(self, service: str) -> int:
        """Count its containers that are well by their own probe."""
        return sum(each["State"]["Health"]["Status"] == "healthy" for each in self.inspect(service))

    def left(self) -> list[str]:
        """Return all that the engine still keeps of it."""
        mine = f"label=com.docker.compose.project={self.name}"
        return [
            *docker("ps", "--all", "--quiet", "--filter", mine).split(),
            *docker("volume", "ls", "--quiet", "--filter", mine).split(),
            *docker("network", "ls", "--quiet", "--filter", mine).split(),
        ]
