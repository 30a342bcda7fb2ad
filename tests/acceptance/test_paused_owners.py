"""An owner is paused while its work runs; a child, the worker and Redis die meanwhile, nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import redis
from sentiq import Sentiq

from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from local.processes import Group
from local.redis_server import start_redis
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tests.acceptance.test_scale_and_faults import done, labels, many_texts
from tests.api.test_access import bearer, running_api
from tests.conftest import eventually, started_stack, worker_of

DEADLINE_S = 30


class Operator:
    """Calls of an operator, and what Redis says is under way."""

    def __init__(self, url: str, token: str, redis_url: str) -> None:
        self.http = httpx2.Client(base_url=url, headers=bearer(token), timeout=60, trust_env=False)
        self.redis: Any = redis.Redis.from_url(redis_url)

    def change(self, what: str, target: str) -> list[dict[str, Any]]:
        answer = self.http.post(f"/v1/admin/{what}", json={"target": target})
        return list(answer.raise_for_status().json()["data"])

    def leased(self) -> int:
        return sum(self.redis.zcard(key) for key in self.redis.scan_iter("sentiq:leased:*"))


@pytest.mark.timeout(300)
def test_a_paused_owner_waits_while_the_other_is_served(
    tmp_path: Path, reviews: list[dict[str, str]]
) -> None:
    data = tmp_path / "redis"
    with Group() as group:
        server, url = start_redis(group, data_dir=data)
        keys = ApiKeys(JobStore.connect(Settings(redis_url=url)))
        (anna, annas), (_, bens) = (keys.create(name, [Scope.SUBMIT, Scope.READ]) for name in ("anna", "ben"))
        _, operators = keys.create("operator", [Scope.OPERATOR])
        with started_stack(tmp_path, redis_url=url) as stack, _api(url, tmp_path, "first") as api:
            operator = Operator(api, operators, url)
            with Sentiq(api, annas) as first, Sentiq(api, bens) as second:
                paused = first.submit(many_texts(reviews, 1), deadline_s=DEADLINE_S, priority="bulk").id
                eventually(lambda: first.job(paused).counts.succeeded > 0)
                (pause,) = operator.change("pauses", f"owner:{anna.id}")
                worker_of(stack).children()[0].kill()
                other = second.submit(many_texts(reviews, 2), priority="bulk").id
                assert done(second, [other])[0]["status"] == "succeeded"
                eventually(lambda: operator.leased() == 0, within_s=60)
                before = dict(first.job(paused).raw)
                assert before["counts"]["pending"] > 0
                assert before["paused"] == {"kind": "owner", "name": anna.id, "since": pause["since"]}
            operator.http.close()
            _kill(worker_of(stack))
        _kill(psutil.Process(server.pid))
        start_redis(group, data_dir=data, port=int(url.rsplit(":", 1)[1].split("/")[0]))
        with started_stack(tmp_path, redis_url=url), _api(url, tmp_path, "second") as api:
            operator = Operator(api, operators, url)
            with Sentiq(api, annas) as first:
                _pass_deadline(operator.redis, before)
                still = first.job(paused).raw
                assert {name: still[name] for name in ("status", "counts", "paused", "deadline_at")} == {
                    name: before[name] for name in ("status", "counts", "paused", "deadline_at")
                }
                assert operator.change("resumes", f"owner:{anna.id}") == []
                assert first.job(paused).raw["deadline_at"] > before["deadline_at"]
                (job,) = done(first, [paused])
                assert (job["status"], job["deadline_s"]) == ("succeeded", DEADLINE_S)
                labels(first, paused)
            operator.http.close()


def _api(redis_url: str, folder: Path, name: str) -> Any:
    variables = {"SENTIMENT_TARGET_WAIT_BULK_S": "100000", "SENTIMENT_DEFAULT_MODEL": "sentiq-zh-small"}
    return running_api(redis_url, folder / f"{name}.log", **variables)


def _kill(process: psutil.Process) -> None:
    children = process.children()
    process.kill()
    psutil.wait_procs([process, *children], timeout=10)


def _pass_deadline(client: Any, job: dict[str, Any]) -> None:
    """Wait until the deadline that the job had has passed by Redis's clock."""
    record = f"sentiq:job:{job['id']}"
    deadline_ms = int(client.hget(record, "paused_deadline"))
    eventually(lambda: client.time()[0] * 1000 > deadline_ms + 2000, within_s=2 * DEADLINE_S)
