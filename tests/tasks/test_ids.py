from __future__ import annotations

import time

import pytest

from tasks.store.ids import IdMint


def test_an_id_tells_when_it_was_minted() -> None:
    mint = IdMint(b"secret")
    before = int(time.time() * 1000)
    minted = mint.minted_ms(mint.mint())
    assert minted is not None
    assert before - 1 <= minted <= time.time() * 1000


def test_ids_differ() -> None:
    mint = IdMint(b"secret")
    assert len({mint.mint() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("position", [0, 4, 20, 30, 37])
def test_an_id_with_one_letter_changed_was_never_minted(position: int) -> None:
    mint = IdMint(b"secret")
    job_id = mint.mint()
    other = "7" if job_id[position] != "7" else "6"
    assert mint.minted_ms(job_id[:position] + other + job_id[position + 1 :]) is None


@pytest.mark.parametrize(
    "job_id", ["", "job_", "x", "job_" + "0" * 34, "任务", "job_" + "é" * 34, "a/b" * 99]
)
def test_anything_else_was_never_minted(job_id: str) -> None:
    assert IdMint(b"secret").minted_ms(job_id) is None


def test_another_deployments_id_was_never_minted_here() -> None:
    assert IdMint(b"ours").minted_ms(IdMint(b"theirs").mint()) is None
