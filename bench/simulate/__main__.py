"""Simulate the service at sizes that no machine here has.

`calibrate` measures the parts alone, `validate` compares the simulation with runs that the calibration has
not seen, and `report` writes tables and plots.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.program import BenchError, as_json
from bench.report import verdict
from bench.simulate import calibration, scenarios, validation
from bench.simulate.deployment import Deployment
from bench.simulate.parts import Parts, read_parts, write_parts
from bench.simulate.reporting import plots, put_section, section
from bench.writing import DRAFTS, write_report
from local.logs import Log
from local.processes import ProcessDiedError
from local.redis_server import RedisUnavailableError
from local.run_directory import RunDirectoryError, open_log
from local.stack import StackError, interrupt_on_signals
from tasks.errors import SentiqError

_ERRORS = (
    BenchError,
    SentiqError,
    RedisUnavailableError,
    ProcessDiedError,
    StackError,
    RunDirectoryError,
    OSError,
)
_PARTS = DRAFTS / "parts.json"


def main(arguments: Sequence[str]) -> int:
    """Run a command; return 0, 1 if an error ends it or a check fails, 130 on Ctrl-C."""
    options = _parser().parse_args(arguments)
    interrupt_on_signals()
    try:
        with open_log(f"simulate-{options.command}") as file:
            done: int = options.run(options, Log(file))
    except KeyboardInterrupt:
        return 130
    except _ERRORS as error:
        print(error, file=sys.stderr)
        return 1
    return done


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    calibrate = commands.add_parser("calibrate", help="measure the parts alone")
    calibrate.add_argument("--chunks", type=int, default=40, help="that the engine scores (%(default)s)")
    calibrate.add_argument("--calls", type=int, default=2000, help="of Redis, of each kind (%(default)s)")
    calibrate.add_argument("--singles", type=int, default=500, help="jobs of one text (%(default)s)")
    calibrate.set_defaults(run=_calibrate)
    validate = commands.add_parser("validate", help="compare with runs that the calibration has not seen")
    validate.add_argument("--seconds", type=float, default=30, help="about, of each run (%(default)s)")
    validate.set_defaults(run=_validate)
    report = commands.add_parser("report", help="simulate everything, and write tables and plots")
    report.add_argument("--out", type=Path, default=DRAFTS, help="folder of JSON, page and plots")
    report.add_argument(
        "--document", type=Path, help="also put the tables between the marks of this document"
    )
    report.add_argument("--most-workers", type=int, default=scenarios.WORKERS[-1], help="(%(default)s)")
    report.set_defaults(run=_report)
    for command in (calibrate, validate):
        command.add_argument("--pack", type=Path, help="the pack to serve; the configured one if not given")
        command.add_argument("--texts", type=int, default=5000, help="of the bulk job (%(default)s)")
    for command in (calibrate, validate, report):
        command.add_argument("--parts", type=Path, default=_PARTS, help="the calibration (%(default)s)")
        command.add_argument("--seed", type=int, default=20260101, help="(%(default)s)")
    return parser


def _calibrate(options: argparse.Namespace, log: Log) -> int:
    parts = calibration.calibrate(options, log)
    write_parts(parts, options.parts)
    print("\n".join([*calibration.describe(parts), str(options.parts)]))
    return 0


def _validate(options: argparse.Namespace, log: Log) -> int:
    checks = validation.validate(read_parts(options.parts), options, log)
    shown = [asdict(check) | {"deviation": check.deviation, "holds": check.holds} for check in checks]
    _checks(options).write_text(as_json({"checks": shown}) + "\n", "utf-8")
    for check in checks:
        figures = f"measured {check.measured:.3g}, simulated {check.simulated:.3g}, {check.deviation:+.1%}"
        print(f"{verdict(check.holds)}   {check.what:48} {figures}")
    return 0 if all(check.holds for check in checks) else 1


def _checks(options: argparse.Namespace) -> Path:
    """Return where the comparisons are kept: beside the calibration."""
    parts: Path = options.parts
    return parts.with_name("validation.json")


def _report(options: argparse.Namespace, _log: Log) -> int:
    parts = read_parts(options.parts)
    figures = _simulated(parts, options)
    written = write_report(options.out, "scaling", figures, section(figures, "."), plots(figures))
    if options.document:
        folder = options.out.resolve().relative_to(options.document.resolve().parent)
        put_section(options.document, section(figures, str(folder)))
        written.append(options.document)
    print("\n".join(map(str, written)))
    return 0


def _simulated(parts: Parts, options: argparse.Namespace) -> dict[str, Any]:
    prices = scenarios.Prices()
    workers = [count for count in scenarios.WORKERS if count <= options.most_workers]
    checks = _checks(options)
    print("growth", flush=True)
    growth = scenarios.growth(parts, options.seed, prices, workers)
    print("Redis servers", flush=True)
    servers = scenarios.servers(parts, options.seed, prices, workers[-1])
    print("a day, and the loss of a zone", flush=True)
    return {
        **parts.measured,
        "seed": options.seed,
        "prices": asdict(prices),
        "parts": {name: value for name, value in asdict(parts).items() if name != "measured"},
        "limits": scenarios.limits(parts, Deployment(1)),
        "growth": growth,
        "servers": servers,
        "days": scenarios.days(parts, options.seed, prices),
        "zone_loss": scenarios.zone_loss(parts, options.seed, min(300, workers[-1])),
        "validation": json.loads(checks.read_text("utf-8"))["checks"] if checks.exists() else [],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
