"""Several packs of one host share its cores by weight."""

from __future__ import annotations

import pytest

from tasks.errors import ConfigurationError
from tasks.settings import Settings
from worker.process.cpu import CpuBudget
from worker.process.sharing import shares_of


@pytest.mark.parametrize(
    ("packs", "cores", "children"),
    [
        (["a=/a", "b=/b"], 4, [2, 2]),
        (["a:3=/a", "b=/b"], 4, [3, 1]),
        (["a:9=/a", "b=/b"], 4, [3, 1]),
        (["a=/a", "b=/b", "c=/c"], 4, [2, 1, 1]),
        (["a=/a", "b=/b", "c=/c"], 2, [1, 1, 1]),
        (["a=/a"], 3, [3]),
        ([], 3, []),
    ],
)
def test_children_are_divided_by_weight_and_each_pack_gets_one(
    packs: list[str], cores: int, children: list[int]
) -> None:
    shares = shares_of(packs, CpuBudget(list(range(cores)), cores))
    assert [share.children for share in shares] == children
    used = [core for share in shares for core in share.cores]
    assert set(used) == set(range(cores)) if packs else used == []
    assert len(used) == max(cores, len(packs)) if packs else True


def test_a_given_number_of_children_is_divided_too_and_a_quota_pins_nothing() -> None:
    (a, b) = shares_of(["a=/packs/a", "b=/packs/b"], CpuBudget([0, 1, 2, 3], 2), children=6)
    assert (a.name, a.directory, a.children, b.children) == ("a", "/packs/a", 3, 3)
    assert not a.cores
    assert not b.cores


def test_a_worker_uses_the_cores_that_it_is_given() -> None:
    budget = CpuBudget([0, 1, 2, 3], 4)
    assert budget.at_most(2).count == 2
    assert budget.at_most(9).count == budget.at_most(None).count == 4


@pytest.mark.parametrize("packs", ["a", "a=", "A=/a", "a:0=/a", "a:x=/a", "a=/a,a=/b", "=/a"])
def test_packs_that_cannot_be_told_apart_are_refused(packs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKS", packs)
    with pytest.raises(ConfigurationError, match="PACKS="):
        Settings.read()
