"""The figures of a run, as data and as a page of text, with the circumstances that they hold for."""

import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.load.end_to_end import JOB_ITEMS, Run
from tasks.settings import Settings
from worker.packs.pack import load_pack

_PACKAGES = ("openvino", "tokenizers", "celery", "redis", "gunicorn", "gevent")


def circumstances() -> dict[str, Any]:
    """Machine, versions and pack."""
    pack = load_pack(Settings.read().pack)
    return machine(_PACKAGES) | {"pack": f"{pack.id} {pack.revision}"}


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """Processor, cores and versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def figures(pairs: Sequence[tuple[float, Run]]) -> dict[str, Any]:
    """What the pairs of offline rate and end-to-end run say; the share is taken pair by pair."""
    waits = sorted(wait for _, run in pairs for wait in run.waits)
    return {
        "offline_rate": spread([alone for alone, _ in pairs]),
        "end_to_end_rate": spread([run.rate for _, run in pairs]),
        "share_of_offline": spread([run.rate / alone for alone, run in pairs]),
        "submit_to_result_s": {"p50": waits[len(waits) // 2], "p95": waits[int(len(waits) * 0.95)]},
    }


def summary(report: dict[str, Any]) -> str:
    """The report as a page of text."""
    share, waits = report["share_of_offline"], report["submit_to_result_s"]
    return f"""
{heading(report)}

{"offline":12}{_rate(report["offline_rate"])}
{"end to end":12}{_rate(report["end_to_end_rate"])}
{"share":12}{share["median"]:8.2f}          ({share["min"]:.2f} to {share["max"]:.2f}, pair by pair)
{JOB_ITEMS} texts, submit to results read: p50 {waits["p50"]:.2f} s, p95 {waits["p95"]:.2f} s
children ready after {", ".join(f"{seconds:.2f} s" for seconds in report["children_ready_s"])}

{"":18}{"CPU s / 1,000 texts":>20}   peak MiB by process
{_costs(report)}"""


def heading(report: dict[str, Any]) -> str:
    """What the figures below hold for."""
    chars = report["text_chars"]
    return f"""{report["processor"]}, {report["cores"]} cores, Python {report["python"]}
{named(report["versions"])}
pack {report["pack"]}
texts {report["texts"]}: {chars["count"]} a run, {chars["repeated"]:.1%} repeated
characters: mean {chars["mean"]}, p50 {chars["p50"]:.0f}, p95 {chars["p95"]:.0f}, max {chars["max"]}"""


def named(versions: dict[str, str]) -> str:
    """Versions on one line."""
    return " ".join(f"{name} {number}" for name, number in versions.items())


def _costs(report: dict[str, Any]) -> str:
    return "\n".join(
        f"{part:18}{seconds:20.3f}   {', '.join(map(str, report['peak_mb'][part]))}"
        for part, seconds in report["cpu_seconds_per_1000"].items()
    )


def _rate(found: dict[str, float]) -> str:
    return f"{found['median']:8.0f} texts/s  ({found['min']:.0f} to {found['max']:.0f})"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
