"""What the reports of several benchmarks share: the machine, spreads of figures, and lines of text."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks.settings import Settings
from worker.packs.pack import load_pack

_PACKAGES = ("openvino", "tokenizers", "celery", "redis", "gunicorn", "gevent")


def environment() -> dict[str, Any]:
    """Return the machine, the versions and the configured pack."""
    pack = load_pack(Settings.read().pack)
    return machine(_PACKAGES) | {"pack": f"{pack.id} {pack.revision}"}


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """Return the processor, the number of usable cores and the versions of Python and `packages`."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def heading(report: dict[str, Any]) -> str:
    """Return the lines above the figures: machine, versions, pack and texts."""
    chars = report["text_chars"]
    return f"""{report["processor"]}, {report["cores"]} cores, Python {report["python"]}
{version_line(report["versions"])}
pack {report["pack"]}
texts {report["texts"]}: {chars["count"]} a run, {chars["repeated"]:.1%} repeated
characters: mean {chars["mean"]}, p50 {chars["p50"]:.0f}, p95 {chars["p95"]:.0f}, max {chars["max"]}"""


def version_line(versions: dict[str, str]) -> str:
    """Return package names and versions on one line."""
    return " ".join(f"{name} {number}" for name, number in versions.items())


def verdict(holds: bool) -> str:  # noqa: FBT001  the value to put into words
    """Return how a bound is reported."""
    return "holds" if holds else "FAILS"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the minimum and the maximum."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
