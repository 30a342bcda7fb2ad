"""Flower behind nginx: it requires a login, shows workers, tasks and queues, and cannot change anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from deploy.containers import Project
from tests.conftest import eventually
from tests.containers.conftest import LOGIN, WORKERS, answers, url

TEXT = "这句话谁也不该在那里看见"


@pytest.fixture
def flower(stack: Project) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url(stack), auth=LOGIN, timeout=30, trust_env=False) as client:
        eventually(lambda: client.get("/flower/").status_code == 200)
        yield client


class PatientClient(httpx2.Client):
    """Repeats what the limit of logins refused: the guesses of another test may have used it up."""

    def request(self, *args: Any, **options: Any) -> httpx2.Response:
        def answers() -> list[httpx2.Response]:
            answer = super(PatientClient, self).request(*args, **options)
            return [] if answer.status_code == 429 else [answer]

        return eventually(answers)[0]


@pytest.fixture
def stranger(stack: Project) -> Iterator[httpx2.Client]:
    with PatientClient(base_url=url(stack), timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def guesser(stack: Project) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url(stack), timeout=30, trust_env=False) as client:
        yield client


def workers(flower: httpx2.Client) -> int:
    """Return how many workers Flower shows as online."""
    answer = flower.get("/flower/workers", params={"json": "1"})
    assert answer.status_code == 200
    return sum(worker["status"] for worker in answer.json()["data"])


def tasks(flower: httpx2.Client) -> dict[str, dict[str, str]]:
    """Return the newest tasks by id."""
    newest: dict[str, dict[str, str]] = flower.get("/flower/api/tasks", params={"limit": 200}).json()
    return newest


def score(flower: httpx2.Client) -> str:
    """Score a text and return the id of its task, once Flower shows that it succeeded."""
    before = set(tasks(flower))
    answer = flower.post("/v1/jobs", json={"text": TEXT}, headers={"Prefer": "wait=20"})
    assert answer.status_code == 200, answer.text

    def new() -> list[str]:
        return [
            key for key, task in tasks(flower).items() if key not in before and task["state"] == "SUCCESS"
        ]

    return eventually(new)[0]


def test_a_login_is_required(stranger: httpx2.Client) -> None:
    assert stranger.get("/flower/").status_code == 401
    assert stranger.get("/flower/api/tasks").status_code == 401
    assert stranger.get("/flower/", auth=(LOGIN[0], "guessed")).status_code == 401
    assert stranger.get("/flower").headers["location"] == "/flower/"
    assert stranger.get("/flower/metrics").status_code == 404


def test_who_is_logged_in_never_meets_the_limit_of_logins(flower: httpx2.Client) -> None:
    """Six times the burst, as fast as the machine can."""
    pages = ("/flower/", "/flower/static/css/flower.css", "/flower/api/tasks")
    assert {flower.get(page).status_code for page in pages for _ in range(100)} == {200}


def test_guesses_are_refused_and_a_right_one_is_not_recognised(
    flower: httpx2.Client, guesser: httpx2.Client
) -> None:
    def guess(_: int) -> int:
        return guesser.get("/flower/", auth=(LOGIN[0], "guessed")).status_code

    def flood() -> bool:
        with ThreadPoolExecutor(16) as threads:
            return 429 in set(threads.map(guess, range(64)))

    def right_one_is_refused() -> bool:
        """Look whether a right login meets the limit too; at times it comes before the guesses."""
        with ThreadPoolExecutor(16) as threads:
            guesses = threads.map(guess, range(32))
            right = {guesser.get("/flower/", auth=LOGIN).status_code for _ in range(5)}
            assert set(guesses) <= {401, 429}
        return 429 in right

    eventually(flood, within_s=60)
    eventually(right_one_is_refused, within_s=60)
    assert flower.get("/flower/").status_code == 200, "the same address, but logged in"
    eventually(lambda: guess(0) == 401)


@pytest.mark.parametrize(
    "path", ["healthcheck", "static/css/flower.css", "static/%2e%2e/workers", "login", ""]
)
def test_what_needs_no_login_gives_no_exemption(stranger: httpx2.Client, path: str) -> None:
    stranger.get(f"/flower/{path}")
    assert "flower_login" not in stranger.cookies


def test_it_shows_the_workers_the_tasks_and_the_queues_and_no_text(flower: httpx2.Client) -> None:
    eventually(lambda: workers(flower) == WORKERS)
    task_id = score(flower)
    task = tasks(flower)[task_id]
    assert task["name"] == "sentiq.score"
    assert task["args"] in ("()", "[]"), "a wake-up says nothing"
    shown = json.dumps(tasks(flower), ensure_ascii=False)
    assert TEXT not in shown
    assert json.dumps(TEXT).strip('"') not in shown
    queues = flower.get("/flower/api/queues/length").json()["active_queues"]
    assert {queue["name"] for queue in queues} == {"sentiq.sentiq-zh-small"}
    for page in ("/flower/", "/flower/tasks", "/flower/broker"):
        assert flower.get(page).status_code == 200


def test_its_page_of_tasks_can_read_its_rows(flower: httpx2.Client, stranger: httpx2.Client) -> None:
    """With the request that the script of the page makes."""
    task_id = score(flower)
    columns = {"draw": "1", "start": "0", "length": "50", "search[value]": "", "order[0][column]": "0"}
    newest_first = {"order[0][dir]": "desc", "columns[0][data]": "received"}
    query = columns | newest_first

    def rows() -> str:
        answer = flower.post("/flower/tasks/datatable", data=query)
        assert answer.status_code == 200
        return answer.text

    assert task_id in rows()
    assert TEXT not in rows()
    assert stranger.post("/flower/tasks/datatable", data=query).status_code == 401
    assert flower.post("/flower/tasks").status_code == 403


def test_it_cannot_stop_a_worker(flower: httpx2.Client, stack: Project) -> None:
    name = next(iter(flower.get("/flower/api/workers", params={"status": "1"}).json()))
    assert flower.post(f"/flower/api/worker/shutdown/{name}").status_code == 403
    behind_nginx = (
        "import base64, os, urllib.request as r;"
        "login = base64.b64encode(os.environ['FLOWER_LOGIN'].encode()).decode();"
        f"u = 'http://127.0.0.1:5555/flower/api/worker/shutdown/{name}';"
        "r.urlopen(r.Request(u, method='POST', headers={'Authorization': 'Basic ' + login}))"
    )
    done = stack.compose("exec", "-T", "flower", "python", "-c", behind_nginx, check=False)
    assert "HTTP Error 403" in done.stderr + done.stdout
    assert workers(flower) == WORKERS


def test_its_redis_user_cannot_read_the_job_store(stack: Project) -> None:
    code = "import os, redis; redis.Redis.from_url(os.environ['REDIS_URL']).get('sentiq:id_secret')"
    done = stack.compose("exec", "-T", "flower", "python", "-c", code, check=False)
    assert "NoPermissionError" in done.stderr + done.stdout


def test_its_tasks_survive_a_restart(flower: httpx2.Client, stack: Project) -> None:
    task_id = score(flower)
    stack.compose("restart", "flower")
    eventually(lambda: answers(flower) and flower.get("/flower/").status_code == 200, within_s=60)
    assert task_id in tasks(flower)
