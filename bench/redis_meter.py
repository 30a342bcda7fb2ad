"""What a Redis did while something was measured: commands, bytes and CPU time."""

from __future__ import annotations

from collections import Counter
from typing import Any, Self

import redis


class RedisMeter:
    """Counts what a Redis does while the meter is entered; commands that a script calls are counted too."""

    def __init__(self, url: str) -> None:
        self._connection: Any = redis.Redis.from_url(url)
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Start counting."""
        self.counts.subtract(self._read())
        return self

    def __exit__(self, *_: object) -> None:
        """Stop counting."""
        self.counts.update(self._read())
        self._connection.close()

    def _read(self) -> dict[str, int]:
        info = self._connection.info("everything")
        calls = [value["calls"] for name, value in info.items() if name.startswith("cmdstat_")]
        return {
            "commands": sum(calls),
            "bytes_in": info["total_net_input_bytes"],
            "bytes_out": info["total_net_output_bytes"],
            "cpu_us": round((info["used_cpu_user"] + info["used_cpu_sys"]) * 1e6),
        }

    def per_job(self, jobs: int) -> dict[str, float]:
        """Return each count, a job."""
        return {name: round(count / jobs, 2) for name, count in self.counts.items()}
