"""The contract between the runner and a benchmark."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.logs import Log


class BenchError(Exception):
    """A benchmark cannot be completed; the message says why."""


@dataclass(frozen=True)
class Report:
    """The result of a benchmark: figures for `--json`, a summary to print, and whether all bounds hold."""

    figures: dict[str, Any]
    summary: str
    holds: bool = True


@dataclass(frozen=True)
class Program:
    """A benchmark: adds its arguments to a parser, and measures with the parsed ones and an open log.

    `errors` are the exceptions that end it with their message in place of a traceback; the runner adds
    `BenchError`, those of the stack, of the service and of HTTP.
    """

    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace, Log], Report]
    errors: tuple[type[Exception], ...] = ()


def as_json(figures: dict[str, Any]) -> str:
    """Return the figures as indented JSON."""
    return json.dumps(figures, ensure_ascii=False, indent=2)
