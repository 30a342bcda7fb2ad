"""Nothing that callers send with their items shows in logs, metrics or the messages of Celery."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest
import redis

from local.stack import Stack
from tests.conftest import eventually

PLANTED = {
    "text": "很好吃Geheimtext",
    "id": "Geheimnummer",
    "data": {"Geheimfeld": "Geheimwert", "=1": "Geheimformel"},
}
ROWS = {"accept": "text/csv"}


def exchange(http: httpx2.Client) -> None:
    """Send the planted words in every way that the API takes them, also where it refuses them."""
    terms = {"keep_texts": True, "summarize_by": "Geheimfeld", "deadline_s": 60}
    job = http.post("/v1/jobs", json={"items": [PLANTED]} | terms, headers={"prefer": "wait=30"}).json()
    results = job["links"]["results"]
    for headers in (ROWS, {"accept": "application/x-ndjson"}, {}):
        assert "Geheimwert" in http.get(results, headers=headers).text
    assert "Geheimwert" in http.get(f"{results}?columns=data.Geheimfeld", headers=ROWS).text
    assert http.get(f"{results}?columns=Geheimspalte", headers=ROWS).status_code == 422
    assert http.get(f"{job['links']['self']}/summary?by=Geheimfeld").status_code == 200
    lines = [PLANTED, PLANTED | {"text": 1}, PLANTED | {"Geheimes": 1}, PLANTED | {"data": ["Geheimliste"]}]
    body = "\n".join([*map(json.dumps, lines), '{"text": "Geheimbruch'])
    upload = {"content-type": "application/x-ndjson", "prefer": "wait=30"}
    assert http.post("/v1/jobs?keep_texts=true", content=body, headers=upload).json()["counts"]["failed"] == 4
    too_large = PLANTED | {"data": {"Geheimfeld": "Geheim" * 999}}
    assert http.post("/v1/jobs", json={"items": [too_large]}).status_code == 422
    broken = {"content-type": "application/json"}
    assert http.post("/v1/jobs", content='{"items":[{"id":"Geheim', headers=broken).status_code == 400


def test_nothing_of_callers_shows(
    live: Stack, http: httpx2.Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    client = redis.Redis.from_url(live.redis_url)
    log = tmp_path_factory.getbasetemp() / "live0" / "stack.log"
    said: list[str] = []
    with client.monitor() as monitor:
        exchange(http)
        client.echo("all was sent")
        for command in monitor.listen():
            if "all was sent" in command["command"]:
                break
            said.append(command["command"])
    published = [each for each in said if each.startswith(("PUBLISH", "LPUSH"))]
    assert len(published) > 2, "wake-ups, events and news of jobs were seen"
    assert not [each for each in published if "Geheim" in each]
    assert "Geheim" not in http.get("/metrics").text
    eventually(lambda: "accepted job_" in logged(log))
    assert "Geheim" not in logged(log)


def logged(path: Path) -> str:
    return path.read_text("utf-8")
