"""A Docker engine by its command line: `docker`, and `docker compose` or `docker-compose`."""

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

_TIMEOUT_S = 900
# The classic builder unless the caller chooses: the Dockerfiles need nothing that it cannot do.
_PLAIN = {"COMPOSE_DOCKER_CLI_BUILD": "0", "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT", "0")}
Done = subprocess.CompletedProcess[str]


class EngineError(Exception):
    """A command failed; the message has the command and its output."""


def run(command: Sequence[str], env: Mapping[str, str] | None = None, *, check: bool = True) -> Done:
    """Run a command in the repository. With `check`, a failure raises EngineError."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **_PLAIN, **(env or {})},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if check and done.returncode:
        raise EngineError(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done


def docker(*arguments: str, check: bool = True) -> str:
    """Run `docker` and return its output. Raises EngineError."""
    return run(["docker", *arguments], check=check).stdout.strip()


@cache
def compose_command() -> tuple[str, ...]:
    """Return the command of compose; empty if there is none."""
    if shutil.which("docker") and run(["docker", "compose", "version"], check=False).returncode == 0:
        return ("docker", "compose")
    return ("docker-compose",) if shutil.which("docker-compose") else ()


def missing() -> str:
    """Return why containers cannot run here; empty if they can."""
    if not shutil.which("docker"):
        return "docker is not on PATH"
    if not compose_command():
        return "there is neither `docker compose` nor `docker-compose`"
    if run(["docker", "info"], check=False).returncode:
        return "the Docker engine does not answer"
    return ""


@dataclass(frozen=True)
class Project:
    """A compose project with its variables; the file `.env` is not read."""

    name: str
    env_file: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str, check: bool = True, **env: str) -> Done:
        """Run compose on the project, with further variables."""
        command = [*compose_command(), "--env-file", str(self.env_file), "--project-name", self.name]
        return run([*command, *arguments], {**self.env, **env}, check=check)

    def containers(self, service: str) -> list[str]:
        """Return the ids of the running containers of a service."""
        labels = {"com.docker.compose.project": self.name, "com.docker.compose.service": service}
        filters = [part for label in labels.items() for part in ("--filter", "label=" + "=".join(label))]
        return docker("ps", "--quiet", "--no-trunc", *filters).split()

    def inspect(self, service: str) -> list[dict[str, Any]]:
        """Return the output of `docker inspect` for the running containers of a service."""
        ids = self.containers(service)
        details: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
        return details

    def healthy(self, service: str) -> int:
        """Return how many containers of a service are healthy."""
        return sum(each["State"]["Health"]["Status"] == "healthy" for each in self.inspect(service))

    def leftovers(self) -> list[str]:
        """Return the ids of all containers, volumes and networks of the project."""
        label = f"label=com.docker.compose.project={self.name}"
        return [
            *docker("ps", "--all", "--quiet", "--filter", label).split(),
            *docker("volume", "ls", "--quiet", "--filter", label).split(),
            *docker("network", "ls", "--quiet", "--filter", label).split(),
        ]
