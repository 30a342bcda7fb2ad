"""A job that is compared with a second model, through HTTP; children of both models stand in the test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from api.intake import shadows as intake
from api.intake.streams import Source
from api.intake.submission import Submission
from tasks.broker.celery_app import build_publisher
from tasks.errors import UploadIncompleteError
from tasks.settings import Settings
from tasks.store import models
from tasks.store.idempotency import IdempotencyKey, digest
from tasks.store.jobs import JobStore
from tasks.store.keys import backlog_key, owner_jobs_key
from tasks.store.models import Models
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import Queue, QueueClass, Terms
from tasks.vocabulary.labels import NEGATIVE_POSITIVE, LabelSet
from tasks.vocabulary.shadows import is_drawn
from tests.tasks.test_comparisons import score
from tests.verdicts import THREE, of, rated

ITEMS = 400
TEXTS = [f"第{i}次来了" for i in range(ITEMS)]
LINES = {"content_type": "application/x-ndjson"}


def described(labels: LabelSet, reads: str = "text") -> dict[str, Any]:
    return {
        "id": "damo/any",
        "revision": "1",
        "labels": labels.described(),
        "input": reads,
        "max_tokens": 128,
        "uncertain_below": 0.6,
        "measured": {},
    }


@pytest.fixture
def store(store: JobStore) -> JobStore:
    models.register(store, "old", described(NEGATIVE_POSITIVE))
    models.register(store, "new", described(THREE))
    models.register(store, "pairs", described(THREE, "pair"))
    store.labels.record("old@1", NEGATIVE_POSITIVE)
    store.labels.record("new@1", THREE)
    return store


@pytest.fixture
def open_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH", "none")
    monkeypatch.setenv("SENTIMENT_DEFAULT_MODEL", "old")


@pytest.fixture
def api(store: JobStore, open_to_all: None) -> FlaskClient:  # noqa: ARG001  it reads the models of the store
    return create_app(Settings.read()).test_client()


def submit(api: FlaskClient, count: int = ITEMS, headers: dict[str, str] | None = None, **body: Any) -> Any:
    items = [{"text": text, "id": f"r{i}"} for i, text in enumerate(TEXTS[:count])]
    return api.post("/v1/jobs", json={"items": items, "compare_with": "new"} | body, headers=headers)


def read(api: FlaskClient, job: Any, part: str = "") -> Any:
    answer = api.get(job["links"]["self"] + part)
    assert answer.status_code == 200, answer.text
    return answer.json


def score_both(store: JobStore) -> None:
    """The new model says neutral of each tenth text, and positive of the others, as the old one does."""
    score(store, "old", lambda _: rated(0.9, 5, 5))
    score(store, "new", lambda item: of(THREE, *((0.2, 0.7, 0.1) if "0次" in item.text else (0.8, 0.1, 0.1))))


def test_the_shadow_of_a_job_is_a_bulk_job_of_its_own(api: FlaskClient, store: JobStore) -> None:
    job = submit(api, compare_share=0.5, metadata={"day": "1"}, deadline_s=60, result_ttl_s=999).json
    assert (job["compare_with"], job["compare_share"], job["shadow_error"]) == ("new", 0.5, None)
    assert job["shadow_of"] is None
    assert read(api, job) | {"poll_after_ms": 0, "queue": 0} == job | {"poll_after_ms": 0, "queue": 0}
    shadow = api.get(f"/v1/jobs/{job['shadow']}").json
    assert shadow is not None
    assert (shadow["shadow_of"], shadow["model_name"], shadow["priority"]) == (job["id"], "new", "bulk")
    assert (shadow["uploading"], shadow["metadata"], shadow["compare_with"]) == (False, {}, None)
    assert (shadow["deadline_s"], shadow["result_ttl_s"]) == (86_400, 999)
    assert (job["counts"]["total"], job["deadline_s"]) == (ITEMS, 60)
    drawn = [i for i in range(ITEMS) if is_drawn(i, 0.5)]
    assert shadow["counts"]["total"] == len(drawn)
    score_both(store)
    assert read(api, job)["status"] == "succeeded"
    items = read(api, shadow, "/results")["data"]
    assert [(item["source_index"], item["id"]) for item in items] == [(i, f"r{i}") for i in drawn]
    rows = api.get(f"/v1/jobs/{shadow['id']}/results", headers={"accept": "text/csv"}).text
    assert "source_index" in rows.splitlines()[0]


def test_a_comparison_says_where_both_models_differ(api: FlaskClient, store: JobStore) -> None:
    job = submit(api, 50, compare_share=1).json
    before = read(api, job, "/comparison")
    assert (before["complete"], before["sampled"], before["compared"]) == (False, 50, 0)
    assert (before["agreement"], before["mean_score_difference"]) == (None, None)
    assert (before["status"], before["shadow_status"], before["shadow"]) == (
        "queued",
        "queued",
        job["shadow"],
    )
    score(store, "old", lambda _: rated(0.9, 5, 5))
    assert read(api, job, "/comparison")["complete"] is False
    score_both(store)
    found = read(api, job, "/comparison")
    assert found == {
        "object": "comparison",
        "job_id": job["id"],
        "status": "succeeded",
        "complete": True,
        "model_name": "old",
        "compare_with": "new",
        "compare_share": 1.0,
        "shadow": job["shadow"],
        "shadow_status": "succeeded",
        "shadow_error": None,
        "sampled": 50,
        "compared": 50,
        "agreed": 45,
        "agreement": 0.9,
        # The old model's score is 0.8 for each; the new one's is 0.7, or 0.1 if the text is neutral.
        "mean_score_difference": pytest.approx(0.1 * 0.9 + 0.7 * 0.1, abs=1e-6),
        "labels": [
            {"label": "positive", "other_label": "neutral", "items": 5},
            {"label": "positive", "other_label": "positive", "items": 45},
        ],
        "differences": [
            {
                "index": i,
                "id": f"r{i}",
                "label": "positive",
                "confidence": 0.9,
                "other_label": "neutral",
                "other_confidence": 0.7,
            }
            for i in (0, 10, 20, 30, 40)
        ],
    }


@pytest.mark.parametrize("query", ["", "&priority=interactive"])
def test_an_upload_is_sampled_while_it_comes_in(api: FlaskClient, store: JobStore, query: str) -> None:
    lines = "".join(json.dumps(text) + "\n" for text in ["", *TEXTS])
    answer: Any = api.post(f"/v1/jobs?compare_with=new&compare_share=0.2{query}", data=lines, **LINES)
    assert answer.status_code == 202, answer.text
    shadow = api.get(f"/v1/jobs/{answer.json['shadow']}").json
    assert shadow is not None
    assert shadow["uploading"] is False
    score_both(store)
    items = read(api, shadow, "/results")["data"]
    assert [item["source_index"] for item in items] == [i for i in range(1, ITEMS + 1) if is_drawn(i, 0.2)]
    found = read(api, answer.json, "/comparison")
    assert (found["complete"], found["status"], found["compared"]) == (True, "partial", len(items))


def test_a_sample_is_bounded(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_SAMPLE", 7)
    job = submit(api, compare_share=1).json
    assert read(api, job, "/comparison")["sampled"] == 7


def test_a_job_of_which_nothing_is_drawn_has_no_shadow(api: FlaskClient, store: JobStore) -> None:
    job = submit(api, 1, compare_share=1e-9).json
    assert (job["shadow"], job["shadow_error"]) == (None, None)
    score_both(store)
    found = read(api, job, "/comparison")
    assert (found["complete"], found["sampled"], found["shadow_status"]) == (True, 0, None)


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown": ({"compare_with": "none"}, "unknown_model", "known: new, old, pairs."),
    "the same": ({"compare_with": "old"}, "same_model", "other models: new, pairs."),
    "the same by name": ({"model": "new"}, "same_model", "other models: old, pairs."),
    "reads pairs": ({"compare_with": "pairs"}, "aspects_unsupported", "models that read texts alone"),
    "is of one that reads pairs": (
        {"model": "pairs", "aspects": ["口味"]},
        "aspects_unsupported",
        "models that read texts alone",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_compared_is_refused(api: FlaskClient, store: JobStore, case: str) -> None:
    body, code, detail = REFUSED[case]
    answer = submit(api, **body)
    (error,) = answer.json["errors"]
    assert (answer.status_code, error["pointer"], error["code"]) == (422, "/compare_with", code)
    assert detail in error["detail"]
    uploaded: Any = api.post("/v1/jobs", query_string={"compare_with": "new"} | body, **LINES)
    (error,) = uploaded.json["errors"]
    assert (uploaded.status_code, error["pointer"], error["code"]) == (422, "?compare_with", code)
    assert not store.redis.exists(owner_jobs_key(""))


def test_a_retired_model_compares_nothing(api: FlaskClient, store: JobStore) -> None:
    models.retire(store, "new")
    answer = submit(api)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "unknown_model")


@pytest.mark.parametrize("share", [0, -1, 1.01, "1", None])
def test_a_share_is_more_than_none_and_at_most_all(api: FlaskClient, share: Any) -> None:
    answer = submit(api, compare_share=share)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/compare_share")


def test_the_shadow_is_dropped_under_load_and_the_job_goes_on(api: FlaskClient, store: JobStore) -> None:
    now = store.now_ms()
    fields = {"items": 9_999, "cost": 9_999, "finished_at": now, "learned_at": now, "drained_s": 10}
    queue = Queue("new", QueueClass.BULK)
    store.redis.hset(backlog_key(queue), mapping=fields | {"drained_items": 1, "drained_cost": 1})
    answer = submit(api, compare_share=1)
    assert answer.status_code == 202
    assert (answer.json["shadow"], answer.json["shadow_error"]) == (None, "service_full")
    score_both(store)
    assert read(api, answer.json)["status"] == "succeeded"
    found = read(api, answer.json, "/comparison")
    assert (found["complete"], found["shadow_error"], found["sampled"]) == (True, "service_full", 0)


def test_the_same_request_again_makes_no_second_shadow(api: FlaskClient, store: JobStore) -> None:
    key = {"Idempotency-Key": "k1"}
    first, again = (submit(api, headers=key, compare_share=1).json for _ in range(2))
    assert (first["id"], first["shadow"]) == (again["id"], again["shadow"])
    assert store.redis.zcard(owner_jobs_key("")) == 2
    other = submit(api, headers=key, compare_share=0.5)
    assert other.status_code == 422


def test_a_deleted_job_takes_its_shadow_with_it(api: FlaskClient) -> None:
    job = submit(api, compare_share=1).json
    assert api.delete(job["links"]["self"]).status_code == 204
    for path in (job["links"]["comparison"], f"/v1/jobs/{job['shadow']}"):
        answer = api.get(path)
        assert (answer.status_code, answer.json and answer.json["code"]) == (410, "job_deleted")


def test_a_deleted_shadow_is_missing_in_the_comparison(api: FlaskClient) -> None:
    job = submit(api, compare_share=1).json
    assert api.delete(f"/v1/jobs/{job['shadow']}").status_code == 204
    found = read(api, job, "/comparison")
    assert (found["shadow"], found["shadow_status"]) == (job["shadow"], None)
    assert found["shadow_error"] == "job_deleted"


@pytest.mark.parametrize("when", ["it runs", "it is finished"])
def test_a_canceled_job_cancels_its_shadow(api: FlaskClient, store: JobStore, when: str) -> None:
    job = submit(api, compare_share=1).json
    if when == "it is finished":
        score(store, "old", lambda _: rated(0.9, 5, 5))
    answer = api.post(job["links"]["cancel"])
    assert answer.status_code == (202 if when == "it runs" else 200)
    assert read(api, job)["status"] == ("canceled" if when == "it runs" else "succeeded")
    shadow = api.get(f"/v1/jobs/{job['shadow']}").json
    assert shadow is not None
    assert shadow["status"] == "canceled"
    assert read(api, job, "/comparison")["complete"] is True


def test_a_job_that_is_not_compared_has_no_comparison(api: FlaskClient) -> None:
    job = submit(api, 1, compare_with=None).json
    assert (job["compare_with"], job["compare_share"], job["links"]["comparison"]) == (None, None, None)
    answer = api.get(f"/v1/jobs/{job['id']}/comparison")
    assert (answer.status_code, answer.json and answer.json["code"]) == (409, "not_compared")


@pytest.mark.usefixtures("open_to_all")
def test_only_the_owner_reads_a_comparison(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH", "keys")
    keys = ApiKeys(store)
    anna, ben = ({"authorization": f"Bearer {keys.create(name, list(Scope))[1]}"} for name in ("anna", "ben"))
    guarded = create_app(Settings.read()).test_client()
    job = submit(guarded, headers=anna, compare_share=1).json
    for path in (job["links"]["comparison"], f"/v1/jobs/{job['shadow']}"):
        assert guarded.get(path, headers=anna).status_code == 200
        assert guarded.get(path, headers=ben).status_code == 404


class Uploads:
    """Requests that feed one upload, each with the items that it brings before it is cut."""

    def __init__(self, store: JobStore) -> None:
        self._submission = Submission(store, build_publisher(store.settings), store.settings, Models(store))
        self._terms = Terms(compare_with="new", compare_share=0.5, model="old")

    def send(self, count: int, *, cut: bool) -> Any:
        def items() -> Iterator[Item]:
            yield from (Item.accept(text, 99) for text in TEXTS[:count])
            if cut:
                raise UploadIncompleteError("cut")

        source = Source(items(), digest(b"terms"))
        return self._submission.submit_stream(source, self._terms, IdempotencyKey("", "k1"))


def test_an_upload_that_is_resumed_goes_on_with_its_shadow(api: FlaskClient, store: JobStore) -> None:
    uploads = Uploads(store)
    with pytest.raises(UploadIncompleteError) as cut:
        uploads.send(150, cut=True)
    begun = store.job(cut.value.job_id or "")
    assert begun.shadow
    assert (begun.uploading, store.job(begun.shadow).uploading) == (True, True)
    assert store.job(begun.shadow).counts.total == sum(is_drawn(i, 0.5) for i in range(150))
    with pytest.raises(UploadIncompleteError):
        uploads.send(150, cut=True)
    job = uploads.send(ITEMS, cut=False).job
    assert (job.id, job.shadow, job.counts.total, job.uploading) == (begun.id, begun.shadow, ITEMS, False)
    assert uploads.send(ITEMS, cut=False).replayed
    assert store.redis.zcard(owner_jobs_key("")) == 2
    assert store.job(begun.shadow).uploading is False
    score_both(store)
    items = store.results(begun.shadow, 0, ITEMS).items
    assert [item.source_index for item in items] == [i for i in range(ITEMS) if is_drawn(i, 0.5)]
    found = api.get(f"/v1/jobs/{job.id}/comparison").json
    assert found is not None
    assert (found["complete"], found["compared"]) == (True, len(items))


Hurt = Callable[[FlaskClient, str], object]


@pytest.mark.parametrize(
    "hurt",
    [
        lambda api, job_id: api.post(f"/v1/jobs/{job_id}/cancel"),
        lambda api, job_id: api.delete(f"/v1/jobs/{job_id}"),
    ],
    ids=["canceled", "deleted"],
)
def test_an_upload_goes_on_without_a_shadow_that_has_ended(
    api: FlaskClient, store: JobStore, hurt: Hurt
) -> None:
    uploads = Uploads(store)
    with pytest.raises(UploadIncompleteError) as cut:
        uploads.send(150, cut=True)
    begun = store.job(cut.value.job_id or "")
    assert begun.shadow
    hurt(api, begun.shadow)
    job = uploads.send(ITEMS, cut=False).job
    assert (job.counts.total, job.uploading, job.shadow) == (ITEMS, False, begun.shadow)
    assert store.redis.zcard(owner_jobs_key("")) <= 2
