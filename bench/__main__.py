"""Run one benchmark of the service; without a name, list them."""

from __future__ import annotations

import argparse
import ast
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import httpx2

from bench import programs
from bench.program import BenchError, Program, as_json
from local.logs import Log
from local.processes import ROOT, ProcessDiedError
from local.redis_server import RedisUnavailableError
from local.run_directory import RunDirectoryError, open_log
from local.stack import StackError, interrupt_on_signals
from tasks.console import replace_unencodable
from tasks.errors import SentiqError

_ERRORS = (BenchError, SentiqError, RedisUnavailableError, ProcessDiedError, StackError, httpx2.HTTPError)


def main() -> int:
    """Run the benchmark; return 0 if its bounds hold, 1 if one fails or an error ends it, 130 on Ctrl-C."""
    replace_unencodable()
    name, *arguments = sys.argv[1:] or ["--help"]
    _list_parser().parse_args([name])  # exits on --help and on an unknown name
    interrupt_on_signals()
    try:
        module = importlib.import_module(f"{programs.__name__}.{name}")
    except ModuleNotFoundError as error:
        print(f"{name}: {error}; `make` lists the target that installs it", file=sys.stderr)
        return 1
    return _run(name, module.PROGRAM, _options(name, module, arguments))


def _list_parser() -> argparse.ArgumentParser:
    names = [module.name for module in pkgutil.iter_modules(programs.__path__)]
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        usage="python -m bench NAME [--json FILE] [options]",
        description=__doc__,
        epilog="\n".join(["benchmarks:", *(f"  {name:12}{_first_line(name)}" for name in names)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", choices=names, help="NAME --help lists its options")
    return parser


def _first_line(name: str) -> str:
    """Return the first line of the program's docstring, without importing the program."""
    source = Path(programs.__path__[0], f"{name}.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0].rstrip(".")


def _options(name: str, module: ModuleType, arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m bench {name}", description=module.__doc__)
    module.PROGRAM.add_arguments(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return parser.parse_args(arguments)


def _run(name: str, program: Program, options: argparse.Namespace) -> int:
    try:
        if options.json:
            options.json.touch()
        file = open_log(f"bench-{name}")
    except (RunDirectoryError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    known: tuple[type[Exception], ...] = (*_ERRORS, *program.errors)
    try:
        with file:
            report = program.run(options, Log(file))
    except KeyboardInterrupt:
        return 130
    except known as error:
        # Not every benchmark starts processes that write to the log.
        path = Path(file.name)
        log = f"\nThe whole log: {path.relative_to(ROOT)}" if path.stat().st_size else ""
        print(f"\n{error}{log}", file=sys.stderr)
        return 1
    print(report.summary)
    if options.json:
        options.json.write_text(as_json(report.figures) + "\n", "utf-8")
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
