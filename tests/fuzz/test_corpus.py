"""Each input that is kept, what was found among them, and a few thousand mutated ones, on every target."""

from __future__ import annotations

import re

import pytest

from local.processes import ROOT
from tests.fuzz.mutation import Mutator
from tests.fuzz.target import CORPUS, Target, attempt, run
from tests.fuzz.targets import TARGETS

INPUTS = 1500  # for each target of share 1
MOST_CORPUS_BYTES = 200_000


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_breaks_no_promise(name: str) -> None:
    assert [wrong for data in TARGETS[name].corpus if (wrong := attempt(TARGETS[name], data)[1])] == []


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs_break_no_promise(name: str) -> None:
    assert [finding.what for finding in run(TARGETS[name], INPUTS, seed=0).findings] == []


def test_the_corpus_has_inputs_of_every_target_and_stays_small() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < MOST_CORPUS_BYTES


def test_a_seed_always_gives_the_same_inputs() -> None:
    def some(seed: str) -> list[bytes]:
        mutator = Mutator(seed, [b"one", b"another"])
        return [mutator.next() for _ in range(50)]

    assert some("a") == some("a") != some("b")


def test_an_undeclared_error_is_found() -> None:
    def check(data: bytes) -> None:
        if b"1e999" in data:
            raise OverflowError

    (finding,) = run(Target("ndjson", check), 5000, seed=0).findings
    assert "OverflowError" in finding.what
    assert b"1e999" in finding.data


def test_every_target_is_documented() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text("utf-8").split("## Fuzzing")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(TARGETS)
