"""`sentiq score` killed with SIGKILL at any moment and run again: the same bytes, each text scored once."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import redis
from sentiq import Job, Sentiq

from local.stack import Stack
from tasks.store.keys import UPLOADS
from tasks.vocabulary.feeds import RESUMABLE_MS
from tests.client.command import sentiq, started
from tests.conftest import eventually, started_stack

TEXTS = 3000
# Each text is followed by rows without one, so that reading and writing take long enough to be killed.
EMPTY_ROWS = 10
JOB_ITEMS = 2000
MAX_KILLS = 8
ARGUMENTS = ("score", "in.csv", "--column", "评论", "-o", "out.csv")
pytestmark = pytest.mark.timeout(150)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service that needs two jobs for the texts; those that it remembers cost nothing."""
    folder = tmp_path_factory.mktemp("service")
    variables = {"SENTIMENT_MAX_UPLOAD_ITEMS": str(JOB_ITEMS), "SENTIMENT_CACHE_ROWS": "10000"}
    with started_stack(folder, **variables) as stack:
        yield stack


def distinct_texts() -> list[str]:
    """Texts that gzip cannot shorten, so that an upload takes its time; the service remembers so few."""
    chance = random.Random(0)
    return ["".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(300)) for _ in range(60)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("table") / "in.csv"
    with path.open("w", encoding="gb18030", newline="") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerow(["编号", "评论", "店铺"])
        texts = distinct_texts()
        for number in range(TEXTS):
            rows.writerow([number, texts[number % len(texts)], "南山店"])
            rows.writerows([[number, "", "福田店"]] * EMPTY_ROWS)
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole(service: Stack, table: bytes, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The output of a run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "in.csv").write_bytes(table)
    done = sentiq(folder, service.url, *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    return (folder / "out.csv").read_bytes()


@cache
def service_client(service: Stack) -> Sentiq:
    return Sentiq(service.url)


def jobs_of_runs(service: Stack) -> list[Job]:
    """The jobs that the service accepted from the command, newest first."""
    return [job for job in service_client(service).jobs() if "sentiq_run" in job.metadata]


def items_of_runs(service: Stack) -> int:
    """How many items the service accepted from the command."""
    return sum(job.counts.total for job in jobs_of_runs(service))


def state_of(folder: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((folder / "out.csv.sentiq.json").read_text("utf-8")))
    except FileNotFoundError:
        return None


def uploads(folder: Path) -> bool:
    state = state_of(folder)
    return state is not None and state["segments"][-1]["items"] is None


def uploads_the_second_job(folder: Path) -> bool:
    state = state_of(folder)
    return state is not None and len(state["segments"]) == 2 and state["segments"][1]["items"] is None


def fetches(folder: Path) -> bool:
    state = state_of(folder)
    return state is not None and state["segments"][-1]["items"] is not None


def writes(folder: Path) -> bool:
    return (folder / "out.csv.sentiq.part").exists()


def ends(folder: Path) -> bool:
    return (folder / "out.csv").exists()


STAGES = {each.__name__: each for each in (uploads, uploads_the_second_job, fetches, writes, ends)}


def kill_when(
    process: subprocess.Popen[bytes], folder: Path, reached: Callable[[Path], bool], after_s: float
) -> None:
    """Kill the run that long after it has reached a stage, unless it ends before."""
    while process.poll() is None and not reached(folder):
        time.sleep(0.001)
    time.sleep(after_s)
    process.kill()
    process.communicate()


def check_end(folder: Path, service: Stack, whole: bytes, accepted_before: int) -> None:
    """Run to the end, and check the output, the items and the files that are left."""
    done = sentiq(folder, service.url, *ARGUMENTS)
    # A run that is killed behind its last step has nothing left to do.
    finished_before = done.returncode == 2 and b"exists already" in done.stderr
    assert done.returncode == 0 or finished_before, done.stderr
    assert (folder / "out.csv").read_bytes() == whole
    assert items_of_runs(service) - accepted_before == TEXTS
    left = {path.name for path in folder.iterdir()} - {"in.csv", "out.csv"}
    assert left <= ({"out.csv.sentiq.verdicts"} if finished_before else set())


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_run_killed_in_a_stage_goes_on(
    stage: Callable[[Path], bool], service: Stack, table: bytes, whole: bytes, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_bytes(table)
    before, chance = items_of_runs(service), random.Random(stage.__name__)
    for _ in range(2):
        kill_when(started(tmp_path, service.url, *ARGUMENTS), tmp_path, stage, chance.uniform(0, 0.1))
    check_end(tmp_path, service, whole, before)


def killed_in_the_middle_of_an_upload(folder: Path, service: Stack) -> Job:
    """Kill a run whose first job has some of its items, and return the job; it is still open."""
    known = {job.id for job in jobs_of_runs(service)}
    process = started(folder, service.url, *ARGUMENTS)
    eventually(lambda: {job.id for job in jobs_of_runs(service)} - known or process.poll() is not None)
    process.kill()
    process.communicate()
    (job,) = (job for job in jobs_of_runs(service) if job.id not in known)
    assert job.raw["uploading"]
    assert 0 < job.counts.total < JOB_ITEMS
    return job


def test_an_upload_killed_in_its_middle_goes_on_in_the_same_job(
    service: Stack, table: bytes, whole: bytes, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_bytes(table)
    before = items_of_runs(service)
    job = killed_in_the_middle_of_an_upload(tmp_path, service)
    check_end(tmp_path, service, whole, before)
    assert job.refresh().counts.total == JOB_ITEMS


def test_an_upload_that_was_closed_after_ten_minutes_is_kept_and_the_rest_is_another_job(
    service: Stack, table: bytes, whole: bytes, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_bytes(table)
    before = items_of_runs(service)
    job = killed_in_the_middle_of_an_upload(tmp_path, service)
    redis.Redis.from_url(service.redis_url).zincrby(UPLOADS, -RESUMABLE_MS, job.id)
    eventually(lambda: not job.refresh().raw["uploading"])
    recorded = job.counts.total
    assert job.raw["error"]["code"] == "upload_incomplete"
    check_end(tmp_path, service, whole, before)
    assert job.refresh().counts.total == recorded


def test_a_job_that_is_canceled_during_its_upload_is_told(
    service: Stack, table: bytes, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_bytes(table)
    job = killed_in_the_middle_of_an_upload(tmp_path, service)
    job.cancel()
    done = sentiq(tmp_path, service.url, *ARGUMENTS)
    assert done.returncode == 4, done.stderr
    for word in (b"canceled", b"during the upload", b"--restart"):
        assert word in done.stderr


def killed_at_random(seed: int, folder: Path, service: Stack, table: bytes, whole: bytes) -> None:
    """Kill a run again and again, at moments that spread over its whole length, then let it end."""
    (folder / "in.csv").write_bytes(table)
    before, chance = items_of_runs(service), random.Random(seed)
    for _ in range(chance.randint(1, MAX_KILLS)):
        process = started(folder, service.url, *ARGUMENTS)
        try:
            process.communicate(timeout=chance.choice([0.5, 1, 2, 4]) * chance.uniform(0.2, 1))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    check_end(folder, service, whole, before)


@pytest.mark.parametrize("seed", range(2))
def test_a_run_killed_at_random_moments_goes_on(
    seed: int, service: Stack, table: bytes, whole: bytes, tmp_path: Path
) -> None:
    killed_at_random(seed, tmp_path, service, table, whole)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 120))
def test_twenty_runs_killed_at_random_moments_go_on(
    seed: int, service: Stack, table: bytes, whole: bytes, tmp_path: Path
) -> None:
    killed_at_random(seed, tmp_path, service, table, whole)
