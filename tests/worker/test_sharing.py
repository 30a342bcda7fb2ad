"""Several packs of one host share its cores by weight."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil
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


@pytest.mark.parametrize(
    ("children", "expected"), [(1, [(1, 6), (1, 2)]), (2, [(1, 6), (1, 2)]), (16, [(12, 6), (4, 2)])]
)
def test_cores_are_divided_whatever_the_number_of_children(
    children: int, expected: list[tuple[int, int]]
) -> None:
    shares = shares_of(["a:3=/a", "b=/b"], CpuBudget(list(range(8)), 8), children)
    assert [(share.children, share.count) for share in shares] == expected
    assert [len(share.cores) for share in shares] == [count for _, count in expected]
    assert sorted(core for share in shares for core in share.cores) == list(range(8)), "none is idle"


def test_a_worker_uses_the_cores_that_it_is_given() -> None:
    budget = CpuBudget([0, 1, 2, 3], 4)
    assert budget.at_most(2).count == 2
    assert budget.at_most(9).count == budget.at_most(None).count == 4


@pytest.mark.parametrize("packs", ["a", "a=", "A=/a", "a:0=/a", "a:x=/a", "a=/a,a=/b", "=/a"])
def test_packs_that_cannot_be_told_apart_are_refused(packs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKS", packs)
    with pytest.raises(ConfigurationError, match="PACKS="):
        Settings.read()


_SIGNALLED = """
import os, signal, subprocess, sys
from types import SimpleNamespace
from worker import __main__ as worker

def start(share, arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    process = subprocess.Popen(["sleep", "60"], preexec_fn=lambda: worker._begin(()))
    print(process.pid, flush=True)
    return process

worker._start = start
sys.exit(worker._run([SimpleNamespace(name=name) for name in "ab"], []))
"""


def test_a_signal_that_comes_while_workers_start_ends_them_too() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _SIGNALLED], capture_output=True, text=True, timeout=30, check=False
    )
    assert run.returncode == signal.SIGTERM, run.stderr
    assert len(run.stdout.split()) == 2
    assert not any(map(psutil.pid_exists, map(int, run.stdout.split())))


_GRACEFUL = """
import os, signal, subprocess, sys
from types import SimpleNamespace
from worker import __main__ as worker

def start(share, arguments):
    # The first signal lets it end by itself, a second one would kill it.
    script = f"trap 'trap - TERM; sleep {share.name} & wait; exit 0' TERM; echo; while :; do sleep 0.05; done"
    command, begin = ["sh", "-c", script], lambda: worker._begin(())
    process = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=begin)
    process.stdout.readline()
    return process

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
worker._start = start
sys.exit(worker._run([SimpleNamespace(name=name) for name in ("0", "1")], []))
"""


def test_workers_that_stop_get_no_second_signal_when_the_first_of_them_has_ended() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _GRACEFUL], capture_output=True, text=True, timeout=30, check=False
    )
    assert run.returncode == 0, run.stderr
