"""Flower behind nginx: it requires a login, shows workers, tasks and queues, and cannot change anything."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest

from deploy.containers import Project
from tests.conftest import eventually
from tests.containers.conftest import LOGIN, WORKERS, answers, url

TEXT = "这句话谁也不该在那里看见"


@pytest.fixture
def flower(stack: Project) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url(stack), auth=LOGIN, timeout=30, trust_env=False) as client:
        yield client


def workers(flower: httpx2.Client) -> int:
    """Return how many workers Flower shows as online; 0 while nginx refuses this client's polling."""
    answer = flower.get("/flower/workers", params={"json": "1"})
    return sum(worker["status"] for worker in answer.json()["data"]) if answer.is_success else 0


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


def test_a_login_is_required(stack: Project) -> None:
    with httpx2.Client(base_url=url(stack), trust_env=False) as stranger:
        assert stranger.get("/flower/").status_code == 401
        assert stranger.get("/flower/api/tasks").status_code == 401
        assert stranger.get("/flower/", auth=(LOGIN[0], "guessed")).status_code == 401
        assert stranger.get("/flower").headers["location"] == "/flower/"


def test_it_shows_the_workers_the_tasks_and_the_queues_and_no_text(flower: httpx2.Client) -> None:
    eventually(lambda: workers(flower) == WORKERS)
    task_id = score(flower)
    task = tasks(flower)[task_id]
    assert task["name"] == "sentiq.score"
    assert task["args"] in ("('interactive',)", "['interactive']"), "a wake-up names its class alone"
    shown = json.dumps(tasks(flower), ensure_ascii=False)
    assert TEXT not in shown
    assert json.dumps(TEXT).strip('"') not in shown
    queues = flower.get("/flower/api/queues/length").json()["active_queues"]
    assert {queue["name"] for queue in queues} == {"sentiq.bulk", "sentiq.interactive"}
    for page in ("/flower/", "/flower/tasks", "/flower/broker"):
        assert flower.get(page).status_code == 200


def test_its_page_of_tasks_can_read_its_rows(flower: httpx2.Client, stack: Project) -> None:
    """With the request that the script of the page makes."""
    task_id = score(flower)
    columns = {"draw": "1", "start": "0", "length": "50", "search[value]": "", "order[0][column]": "0"}
    query = columns | {"order[0][dir]": "asc", "columns[0][data]": "name"}

    def rows() -> str:
        answer = flower.post("/flower/tasks/datatable", data=query)
        assert answer.status_code == 200
        return answer.text

    assert task_id in rows()
    assert TEXT not in rows()
    with httpx2.Client(base_url=url(stack), trust_env=False) as stranger:
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
