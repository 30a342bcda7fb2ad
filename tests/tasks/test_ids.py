from __future__ import annotations

import time

import pytest

from tasks.store.ids import JobIds


def test_an_id_tells_when_it_was_minted() -> None:
    issue = JobIds(b"secret")
    before = int(time.time() * 1000)
    minted = issue.issued_at_ms(issue.issue())
    assert minted is not None
    assert before - 1 <= minted <= time.time() * 1000


def test_ids_differ() -> None:
    issue = JobIds(b"secret")
    assert len({issue.issue() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("position", [0, 4, 20, 30, 37])
def test_an_id_with_one_letter_changed_was_never_minted(position: int) -> None:
    issue = JobIds(b"secret")
    job_id = issue.issue()
    other = "7" if job_id[position] != "7" else "6"
    assert issue.issued_at_ms(job_id[:position] + other + job_id[position + 1 :]) is None


@pytest.mark.parametrize(
    "job_id", ["", "job_", "x", "job_" + "0" * 34, "任务", "job_" + "é" * 34, "a/b" * 99]
)
def test_anything_else_was_never_minted(job_id: str) -> None:
    assert JobIds(b"secret").issued_at_ms(job_id) is None


def test_an_id_of_a_former_secret_is_genuine_and_a_new_one_has_the_present_secret() -> None:
    ids = JobIds(b"present", [b"former"])
    assert ids.issued_at_ms(JobIds(b"former").issue("anna"), "anna")
    assert JobIds(b"present").issued_at_ms(ids.issue("anna"), "anna")
    assert ids.issued_at_ms(JobIds(b"former").issue("anna"), "ben") is None


def test_another_deployments_id_was_never_minted_here() -> None:
    assert JobIds(b"ours").issued_at_ms(JobIds(b"theirs").issue()) is None
