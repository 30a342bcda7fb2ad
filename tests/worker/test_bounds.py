"""`worker.evaluate` is a gate: its exit code and a line for each figure say which bounds do not hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.processes import ROOT
from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from tasks.vocabulary.verdicts import Verdict
from worker.evaluate.__main__ import main, parse
from worker.evaluate.bounds import broken_bounds
from worker.evaluate.measures import Scored, measure

EMBEDDED = ROOT / "models" / "embedded"
SURE, UNSURE = 0.95, 0.7
WRONG = "the share of wrong verdicts among those above 0.9 confidence"
LOW = "the lower end of the 95 % interval of"


def measured(right: int, wrong: int, *, unsure: int = 0) -> dict[str, Any]:
    """Return the measures of sure verdicts, right and wrong ones, and of unsure ones that are right."""
    confidence = [SURE] * (right + wrong) + [UNSURE] * unsure
    verdicts = [Verdict(NEGATIVE_POSITIVE, {0: 1 - each, 1: each}, 9, 9) for each in confidence]
    true = [1] * right + [0] * wrong + [1] * unsure
    return measure(Scored.of(verdicts, NEGATIVE_POSITIVE, true))


def broken(report: dict[str, Any], *bounds: str) -> list[str]:
    return list(broken_bounds(report, parse(["--pack", "DIR", "FILE.csv", *bounds])))


@pytest.mark.parametrize(
    ("option", "holds", "breaks", "said"),
    [
        ("--at-least", "0.9", "0.91", "accuracy is 0.9000, below"),
        ("--macro-f1-at-least", "0.47", "0.48", "macro F1 is 0.4737, below"),
        ("--ece-at-most", "0.23", "0.2", "the expected calibration error is 0.2250, above"),
        (
            "--confident-at-least",
            "0.5",
            "0.51",
            "the share of verdicts above 0.9 confidence is 0.5000, below",
        ),
        ("--confident-wrong-at-most", "0.2", "0.19", f"{WRONG} is 0.2000, above"),
    ],
)
def test_each_figure_has_a_bound(option: str, holds: str, breaks: str, said: str) -> None:
    report = measured(40, 10, unsure=50)
    assert broken(report, option, holds) == []
    assert broken(report, option, breaks) == [f"{said} {option} {breaks}"]


def test_a_domain_breaks_a_bound_only_by_more_than_chance() -> None:
    # Wilson intervals: 1 of 10 from 0.018, 10 of 60 from 0.093.
    domains = {"few": measured(9, 1), "many": measured(50, 10), "none": measured(0, 0, unsure=5)}
    report = measured(960, 40) | {"domains": domains}
    option = "--confident-wrong-at-most"
    assert broken(report, option, "0.05") == [f"in many {LOW} {WRONG} is 0.0931, above {option} 0.05"]
    assert broken(report | {"domains": {"few": domains["few"]}}, option, "0.05") == []
    assert len(broken(report | measured(940, 60), option, "0.05")) == 2, "the whole file has no such leave"


def test_without_confident_verdicts_none_is_wrong_and_too_few_are_there() -> None:
    report = measured(0, 0, unsure=5)
    bounds = ("--confident-wrong-at-most", "0", "--confident-at-least", "0.5")
    assert [sentence.split(" is ")[1] for sentence in broken(report, *bounds)] == [
        "0.0000, below --confident-at-least 0.5"
    ]


def test_every_broken_bound_is_named_and_the_report_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "texts.csv"
    rows = ["质量太差，再也不买,1,shop", "质量太差，再也不买！,1,shop", "非常满意,1,film"]
    path.write_text("\n".join(["text,label,domain", *rows]), "utf-8")
    bounds = ("--confident-wrong-at-most", "0.05", "--at-least", "0.86", "--confident-at-least", "0.1")
    assert main(["--pack", str(EMBEDDED), str(path), *bounds]) == 3
    printed = capsys.readouterr()
    assert json.loads(printed.out)["confident"]["texts"] == 3
    assert printed.err == (
        "worker.evaluate: accuracy is 0.3333, below --at-least 0.86\n"
        f"worker.evaluate: {WRONG} is 0.6667, above --confident-wrong-at-most 0.05\n"
        f"worker.evaluate: in shop {LOW} {WRONG} is 0.3424, above --confident-wrong-at-most 0.05\n"
    )
    assert main(["--pack", str(EMBEDDED), str(path), "--confident-wrong-at-most", "0.7"]) == 0
