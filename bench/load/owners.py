"""Callers with API keys of their own, who upload and watch how much of it is done."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from bench.program import BenchError
from local.processes import ROOT

_POLL_S = 0.05


@dataclass(frozen=True)
class Owner:
    """A caller with a key; `http` sends it."""

    name: str
    weight: float
    token: str
    http: httpx2.Client

    def upload(self, texts: Sequence[str]) -> str:
        """Submit texts as lines, as a bulk job; return its id."""
        headers = {"content-type": "application/x-ndjson"}
        lines = "\n".join(f'"{text}"' for text in texts)
        answer = self.http.post("/v1/jobs", content=lines.encode(), headers=headers)
        return str(answer.raise_for_status().json()["id"])

    def done(self, job_id: str) -> int:
        """Return how many items of a job are scored."""
        return int(self._job(job_id)["counts"]["succeeded"])

    def wait(self, job_id: str) -> float:
        """Wait until a job is finished; return in how many seconds."""
        began = time.monotonic()
        while self._job(job_id)["finished_at"] is None:
            time.sleep(_POLL_S)
        return time.monotonic() - began

    def cancel(self, job_id: str) -> None:
        """Cancel a job."""
        self.http.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()

    def _job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.http.get(f"/v1/jobs/{job_id}").raise_for_status().json()
        return job


def make_owner(redis_url: str, url: str, name: str, weight: float = 1) -> Owner:
    """Make an API key in a Redis, and return the caller who uses it at a service."""
    command = [sys.executable, "-m", "api.auth", "create", name, "--weight", f"{weight:g}"]
    env = os.environ | {"REDIS_URL": redis_url}
    made = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    token = re.search(r"sentiq_\S+", made.stdout)
    if token is None:
        raise BenchError(f"no key: {made.stderr}")
    bearer = {"authorization": f"Bearer {token[0]}"}
    http = httpx2.Client(base_url=url, headers=bearer, timeout=300, trust_env=False)
    return Owner(name, weight, token[0], http)
