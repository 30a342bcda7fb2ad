"""Which models there are, over HTTP: what is listed, which one a job gets, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from tasks import __main__ as command
from tasks.settings import Settings
from tasks.store import models, workers
from tasks.store.jobs import JobStore
from tasks.vocabulary.model_names import wakeup_queue
from tests.conftest import eventually
from tests.verdicts import THREE

PACK = {
    "id": "damo/three",
    "revision": "v1",
    "labels": THREE.described(),
    "input": "text",
    "max_tokens": 128,
    "uncertain_below": 0.7,
    "measured": {"accuracy": 0.9},
}


@pytest.fixture
def api(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """An API without a default model."""
    assert settings.redis_url
    monkeypatch.setenv("AUTH", "none")
    monkeypatch.setenv("SENTIMENT_DEFAULT_MODEL", "")
    return create_app(Settings.read()).test_client()


def submitted(api: FlaskClient, **body: Any) -> Any:
    return api.post("/v1/jobs", json={"text": "好", **body})


def test_models_are_listed_with_their_labels_workers_and_backlog(api: FlaskClient, store: JobStore) -> None:
    models.register(store, "three", PACK, starting=True)
    workers.heartbeat(store, "host/1/a", children=2, ready=2, model={"name": "three"})
    submitted(api, model="three", priority="bulk")
    answer: Any = api.get("/v1/models")
    assert answer.status_code == 200, answer.text
    (model,) = answer.json["data"]
    assert (model["name"], model["id"], model["revision"]) == ("three", "damo/three", "v1")
    assert [label["id"] for label in model["labels"]] == ["positive", "neutral", "negative"]
    assert model["labels"][1] == {
        "id": "neutral",
        "label_zh": "中评",
        "label_en": "Neutral",
        "polarity": 0,
        "emoji": "😐",
    }
    assert (model["input"], model["max_tokens"], model["measured"]) == ("text", 128, {"accuracy": 0.9})
    assert (model["default"], model["retiring"]) == (True, False)
    assert model["workers"] == {"alive": 1, "children": 2}
    assert model["classes"]["bulk"]["pending_items"] == 1


def test_a_job_gets_the_only_model_and_of_several_the_one_that_it_names(
    api: FlaskClient, store: JobStore
) -> None:
    nothing = submitted(api)
    assert (nothing.status_code, nothing.json["code"]) == (503, "no_model")
    assert int(nothing.headers["retry-after"]) >= 1
    models.register(store, "three", PACK)
    only = submitted(api)
    assert (only.status_code, only.json["model_name"]) == (202, "three")
    assert only.json["queue"]["workers"] == 0, "it waits until a worker starts"
    models.register(store, "other", PACK)
    assert submitted(api, model="other").json["model_name"] == "other"
    unnamed, unknown = submitted(api), submitted(api, model="third")
    for answer, code in ((unnamed, "model_required"), (unknown, "unknown_model")):
        (error,) = answer.json["errors"]
        assert (answer.status_code, error["pointer"], error["code"]) == (422, "/model", code)
        assert "other, three" in error["detail"]
    lines: Any = api.post("/v1/jobs?model=third", data='"好"\n', content_type="application/x-ndjson")
    assert (lines.status_code, lines.json["errors"][0]["pointer"]) == (422, "?model")


@pytest.mark.parametrize("name", ["", "A", "a b", "x" * 65])
def test_what_no_model_can_be_called_is_refused(api: FlaskClient, name: str) -> None:
    answer = submitted(api, model=name)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/model")


def test_a_model_is_retired_by_command(
    api: FlaskClient, store: JobStore, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("three", "other"):
        models.register(store, name, PACK, starting=True)
    assert command.main(["models", "retire", "nope"]) == 1
    assert "no model has the name nope" in capsys.readouterr().err
    assert command.main(["models", "retire", "other"]) == 0
    assert "other is removed" in capsys.readouterr().out
    assert command.main(["models", "list"]) == 0
    assert capsys.readouterr().out == "three  open  0 workers  damo/three@v1\n"
    assert submitted(api, model="other").status_code == 422
    assert submitted(api).json["model_name"] == "three"


def retire(store: JobStore) -> None:
    assert models.retire(store, "three")


def add_another(store: JobStore) -> None:
    models.register(store, "other", PACK | {"input": "pair"})


@pytest.mark.parametrize("change", [retire, add_another])
def test_an_upload_is_resumed_and_repeated_whatever_models_there_are_by_then(
    api: FlaskClient, store: JobStore, change: Callable[[JobStore], None]
) -> None:
    models.register(store, "three", PACK)
    body = "".join(f'"第{number}条"\n' for number in range(500)).encode()
    whole: dict[str, Any] = {"data": body, "content_type": "application/x-ndjson"}
    keyed, length = whole | {"headers": {"idempotency-key": "k"}}, {"CONTENT_LENGTH": str(len(body))}
    cut: Any = api.post("/v1/jobs", **keyed | {"data": body[:-500]}, environ_overrides=length)
    assert (cut.status_code, cut.json["code"]) == (400, "upload_incomplete"), cut.text
    assert 0 < cut.json["recorded_items"] < 500
    change(store)
    eventually(lambda: '"no_model"' in (new := api.post("/v1/jobs", **whole).text) or "model_required" in new)
    for _ in range(2):
        job: Any = api.post("/v1/jobs", **keyed).json
        assert (job["id"], job["model_name"]) == (cut.json["job_id"], "three")
        assert (job["counts"]["total"], job["uploading"]) == (500, False)
    assert not store.redis.exists(wakeup_queue("other"))
