"""A plan follows from its seed, and docs/reliability.md has every kind and names tests that are there."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys

import pytest

from local.processes import ROOT
from tasks.store.scripts import LUA
from tests.faults.kinds import KINDS, links
from tests.faults.plan import SHARE_OF_TWO, only, plan
from tests.faults.planted.defects import DEFECTS, environment

DOCUMENT = (ROOT / "docs" / "reliability.md").read_text("utf-8")
SEEDS, FAULTS = 20, 8
DESIGNED = 22


def section(heading: str) -> list[list[str]]:
    """Return the cells of the rows of the table below a heading, without its head."""
    text = DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+) \|$", text, re.MULTILINE)
    return [row.split(" | ") for row in rows[2:]]


def test_a_seed_always_has_the_same_plan() -> None:
    assert plan(3, FAULTS) == plan(3, FAULTS)
    assert plan(3, FAULTS) != plan(4, FAULTS)
    assert [len(plan(seed, FAULTS)) for seed in range(SEEDS)] == [FAULTS] * SEEDS


def test_twenty_seeds_have_every_kind_and_a_fifth_of_the_steps_has_two() -> None:
    steps = [step for seed in range(SEEDS) for step in plan(seed, FAULTS)]
    assert {kind for step in steps for kind in step.kinds} == set(KINDS)
    assert len(KINDS) >= 30
    pairs = [step.kinds for step in steps if len(step.kinds) == 2]
    assert len(pairs) / len(steps) == pytest.approx(SHARE_OF_TWO, abs=0.1)
    assert all(KINDS[first].part != KINDS[second].part for first, second in pairs)


def test_kinds_that_are_named_come_in_turn_until_there_are_so_many_faults() -> None:
    kinds = ["parents_killed", "child_killed+redis_away"]
    assert [str(step) for step in only(kinds, 0)] == ["parents_killed", "child_killed + redis_away"]
    steps = only(kinds, 0, 101)
    assert [str(step) for step in steps].count("parents_killed") == 51
    assert len({step.seed for step in steps}) == len(steps) == 101


def test_every_kind_has_its_row_and_every_row_its_kind() -> None:
    assert section("The faults") == [[f"`{kind.name}`", kind.what] for kind in KINDS.values()]


def test_every_planted_defect_has_its_row_and_faults_that_bring_it_to_light() -> None:
    assert section("The planted defects") == [[f"`{name}`", defect.what] for name, defect in DEFECTS.items()]
    assert len(DEFECTS) >= 10
    named = {kind for defect in DEFECTS.values() for pair in defect.kinds for kind in pair.split("+")}
    assert named <= set(KINDS)


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_planted_when_its_module_is_imported(name: str) -> None:
    """What it replaces is there, and the changed scripts load."""
    code = (
        f"import {DEFECTS[name].module} as changed, tasks.store.scripts as s, sys; "
        "scripts = [s.source(path) for path in s.LUA.glob('*.lua')]"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | environment(name), check=True, timeout=60
    )


def test_every_script_may_lose_its_answer() -> None:
    marks = links.marks()
    assert marks.keys() == {path.stem for path in LUA.glob("*.lua")}
    assert len(set(marks.values())) == len(marks)


def test_every_designed_fault_names_tests_that_are_there() -> None:
    rows = section("The tests that were designed")
    assert [int(row[0]) for row in rows] == list(range(1, DESIGNED + 1))
    for number, _, told in rows:
        named = re.findall(r"\[`(\w+)`\]\(\.\./(tests/[\w/]+\.py)\)", told)
        assert named, f"{number} names no test"
        assert [name for name, path in named if name not in names_of(path) | set(KINDS)] == [], number


def names_of(path: str) -> set[str]:
    """Return the tests of a file, and the strings in it, among which are the cases of its tables."""
    nodes = list(ast.walk(ast.parse((ROOT / path).read_text("utf-8"))))
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return functions | {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
