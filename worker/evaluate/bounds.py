"""Bounds on the figures of a report: `worker.evaluate` as a gate for CI."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worker.evaluate.measures import ABOVE

Report = Mapping[str, Any]
Figure = tuple[str, float | None]

_LOW = "the lower end of the 95 % interval of"
_CONFIDENT = f"the share of verdicts above {ABOVE} confidence"
_WRONG = f"the share of wrong verdicts among those above {ABOVE} confidence"
_HELP = {
    "--at-least": f"lowest accuracy, -1 to 1; with --against, of {_LOW} the accuracy difference",
    "--macro-f1-at-least": "lowest macro F1",
    "--ece-at-most": "highest expected calibration error",
    "--confident-at-least": f"lowest value of {_CONFIDENT}",
    "--confident-wrong-at-most": f"highest value of {_WRONG}, and in each domain of {_LOW} it",
}


def add_bounds(parser: argparse.ArgumentParser, code: int) -> None:
    """Add the options; `code` is the exit code where a figure is outside of its bound."""
    group = parser.add_argument_group("gate", f"exit with {code} if a figure is outside of its bound")
    for option, text in _HELP.items():
        group.add_argument(option, type=_bound, metavar="X", help=text.replace("%", "%%"))


def _bound(text: str) -> float:
    value = float(text)
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between -1 and 1")
    return value


def broken_bounds(report: Report, options: argparse.Namespace) -> Iterator[str]:
    """Yield a sentence for each figure of a report that is outside of the bound that `options` give."""
    for option, figures in _figures(report).items():
        bound = getattr(options, option.removeprefix("--").replace("-", "_"))
        if bound is not None:
            side, sign = ("above", 1) if option.endswith("at-most") else ("below", -1)
            for what, value in figures:
                if value is not None and sign * value > sign * bound:
                    yield f"{what} is {value:.4f}, {side} {option} {bound:g}"


def _figures(report: Report) -> Mapping[str, Sequence[Figure]]:
    """Return the figures that each option bounds, with what they are; None where there is nothing to count.

    The other options bound the figures of the first of two packs. A domain has few texts, so its share of
    wrong verdicts must be higher than the bound by more than chance to break it.
    """
    confident = report["confident"]
    accuracy: Figure = ("accuracy", report["accuracy"])
    if "difference" in report:
        accuracy = (f"{_LOW} the accuracy difference", report["difference"]["accuracy"]["low"])
    in_domains: list[Figure] = [
        (f"in {name} {_LOW} {_WRONG}", part["confident"]["wrong_low"])
        for name, part in report.get("domains", {}).items()
    ]
    return {
        "--at-least": [accuracy],
        "--macro-f1-at-least": [("macro F1", report["macro_f1"])],
        "--ece-at-most": [("the expected calibration error", report["ece"])],
        "--confident-at-least": [(_CONFIDENT, confident["share"])],
        "--confident-wrong-at-most": [(_WRONG, confident["wrong"]), *in_domains],
    }
