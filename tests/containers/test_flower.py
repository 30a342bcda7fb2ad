"""Flower behind nginx: it asks for a login, shows workers, tasks and queues, and can change nothing."""

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
    listed = flower.get("/flower/workers", params={"json": "1"}).json()["data"]
    return sum(worker["status"] for worker in listed)


def tasks(flower: httpx2.Client) -> str:
    return flower.get("/flower/api/tasks", params={"limit": 200}).text


def submit(site: httpx2.Client) -> str:
    answer = site.post("/v1/jobs", json={"text": TEXT}, headers={"Prefer": "wait=20"})
    job: str = answer.json()["id"]
    return job


def test_a_login_is_asked_for(stack: Project) -> None:
    with httpx2.Client(base_url=url(stack), trust_env=False) as stranger:
        assert stranger.get("/flower/").status_code == 401
        assert stranger.get("/flower/api/tasks").status_code == 401
        assert stranger.get("/flower/", auth=(LOGIN[0], "guessed")).status_code == 401
        assert stranger.get("/flower").headers["location"] == "/flower/"


def test_it_shows_the_workers_the_tasks_and_the_queues_and_no_text(flower: httpx2.Client) -> None:
    eventually(lambda: workers(flower) == WORKERS)
    job_id = submit(flower)
    seen = eventually(lambda: found if job_id in (found := tasks(flower)) else "")
    assert {task["name"] for task in json.loads(seen).values()} == {"sentiq.score"}
    assert TEXT not in seen
    assert json.dumps(TEXT).strip('"') not in seen
    queues = flower.get("/flower/api/queues/length").json()["active_queues"]
    assert {queue["name"] for queue in queues} == {"sentiq.bulk", "sentiq.interactive"}
    for page in ("/flower/", "/flower/tasks", "/flower/broker"):
        assert flower.get(page).status_code == 200


def test_its_page_of_tasks_gets_its_rows(flower: httpx2.Client, stack: Project) -> None:
    """As the page's own script asks for them."""
    job_id = submit(flower)
    columns = {"draw": "1", "start": "0", "length": "50", "search[value]": "", "order[0][column]": "0"}
    asked = columns | {"order[0][dir]": "asc", "columns[0][data]": "name"}

    def rows() -> str:
        answer = flower.post("/flower/tasks/datatable", data=asked)
        assert answer.status_code == 200
        return answer.text

    seen = eventually(lambda: found if job_id in (found := rows()) else "")
    assert TEXT not in seen
    with httpx2.Client(base_url=url(stack), trust_env=False) as stranger:
        assert stranger.post("/flower/tasks/datatable", data=asked).status_code == 401
    assert flower.post("/flower/tasks").status_code == 403


def test_nobody_stops_a_worker_through_it(flower: httpx2.Client, stack: Project) -> None:
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


def test_the_store_cannot_be_read_as_flower(stack: Project) -> None:
    asked = "import os, redis; redis.Redis.from_url(os.environ['REDIS_URL']).get('sentiq:id_secret')"
    done = stack.compose("exec", "-T", "flower", "python", "-c", asked, check=False)
    assert "NoPermissionError" in done.stderr + done.stdout


def test_what_it_saw_outlives_a_restart(flower: httpx2.Client, stack: Project) -> None:
    job_id = submit(flower)
    eventually(lambda: job_id in tasks(flower))
    stack.compose("restart", "flower")
    eventually(lambda: answers(flower) and flower.get("/flower/").status_code == 200, within_s=60)
    assert job_id in tasks(flower)
