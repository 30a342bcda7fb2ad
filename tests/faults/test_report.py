"""What a campaign prints: times by kind, how much was run, and the command that repeats a failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from local.processes import ROOT
from tests.faults.campaign import Result
from tests.faults.kinds import KINDS
from tests.faults.plan import Step
from tests.faults.report import Seed, extent, failures, table

HERE = "import sys; from pathlib import Path; import local.run_directory as r; r.RUN = Path({run!r}); "
RUNS = "from tests.faults.__main__ import main; sys.exit(main())"
FAILED = 1


def result(*kinds: str, recovered_s: float, problems: tuple[str, ...] = (), skipped: str = "") -> Result:
    return Result(Step(kinds, 1, 1, 0), 10, recovered_s, recovered_s, problems, skipped)


SEEDS = [
    Seed(0, "make 0", [result("redis_away", recovered_s=1), result("redis_away", recovered_s=3)]),
    Seed(
        1,
        "make 1",
        [
            result("redis_away", "child_killed", recovered_s=9, problems=("an item is lost",)),
            result("api_clock_ahead", recovered_s=0, skipped="C compiler (cc)"),
        ],
    ),
]


def test_the_times_of_a_kind_are_those_of_faults_that_came_alone() -> None:
    rows = [line.split() for line in table(SEEDS).splitlines()[1:]]
    assert rows == [["redis_away", "3", "1", "2.0", "3.0"], ["child_killed", "1", "1", "-", "-"]]


def test_what_was_run_is_counted_without_what_was_skipped() -> None:
    assert extent(SEEDS) == f"2 seeds, 3 faults, 2 of {len(KINDS)} kinds, 30 items; 1 seeds failed"


def test_a_failure_has_its_seed_its_command_and_its_fault() -> None:
    told = failures(SEEDS)
    assert told.splitlines() == [
        "seed 1 failed; to repeat it: make 1",
        "  redis_away + child_killed: an item is lost",
    ]


def test_seeds_that_break_off_fail_with_the_command_that_repeats_each(tmp_path: Path) -> None:
    """A stack does not start where a file has the place of its folder."""
    (tmp_path / "faults").mkdir()
    for seed in (7, 8):
        (tmp_path / "faults" / f"seed-{seed}").touch()
    options = ["--seeds", "2", "--first", "7", "--faults", "3", "--kinds", "child_killed"]
    ended = subprocess.run(
        [sys.executable, "-c", HERE.format(run=str(tmp_path)) + RUNS, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == FAILED, ended.stderr
    for seed in (7, 8):
        command = f"make faults SEEDS=1 FIRST={seed} FAULTS=3 KINDS=child_killed"
        assert f"seed {seed} failed; to repeat it: {command}\n" in ended.stdout
    assert "at the end: broken off after 0 faults: NotADirectoryError(" in ended.stdout
    assert (tmp_path / "faults" / "results.json").exists()
