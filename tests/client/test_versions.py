"""Services of other versions: what is new is passed over, what is missing is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sentiq import BadRequestError, IncompatibleServiceError, NotFoundError, Sentiq

from tests.client.proxy import Plan, proxied, response
from tests.client.test_jobs import GOOD


def job(**more: Any) -> dict[str, Any]:
    counts = {"total": 1, "pending": 0, "succeeded": 1, "failed": 0, "canceled": 0, "timed_out": 0}
    return {"id": "job_1", "object": "job", "status": "succeeded", "counts": counts, **more}


def answered(body: object, status: str = "200 OK") -> Plan:
    return Plan(answer=response(status, json.dumps(body).encode()))


def test_fields_that_are_new_are_passed_over(live_url: str) -> None:
    item = {"index": 0, "status": "succeeded", "label": "positive", "confidence": 0.9, "mood": {"new": 1}}
    counts = {**job()["counts"], "paused": 0}
    body = job(results=[item], counts=counts, colour="red")
    with proxied(live_url, answered(body), answered(body)) as proxy, Sentiq(proxy.url) as client:
        verdict = client.score(GOOD)
        assert (verdict.label, verdict.sentences, verdict.raw["mood"]) == ("positive", None, {"new": 1})
        assert client.job("job_1").raw["colour"] == "red"


@pytest.mark.parametrize("missing", ["id", "status", "counts"])
def test_a_field_that_is_missing_names_the_version(live_url: str, missing: str) -> None:
    body = {name: value for name, value in job().items() if name != missing}
    told = pytest.raises(IncompatibleServiceError, match=f"A job has no `{missing}`: .* 0.1.0 or later")
    with proxied(live_url, answered(body)) as proxy, Sentiq(proxy.url) as client, told:
        repr(client.job("job_1"))


def test_a_call_that_is_missing_names_the_version(live_url: str) -> None:
    gone = answered({"code": "not_found", "detail": "no such URL"}, "404 Not Found")
    told = pytest.raises(IncompatibleServiceError, match=r"no GET /v1/jobs/job_1/comparison: it needs")
    with proxied(live_url, answered(job()), gone) as proxy, Sentiq(proxy.url) as client, told:
        client.job("job_1").comparison()


def test_a_term_that_is_unknown_may_be_newer_than_the_service(client: Sentiq) -> None:
    terms: Any = {"mood": True}
    for texts in (GOOD, [GOOD] * 100):
        with pytest.raises(BadRequestError, match=r"mood.*the service is older than Sentiq 0\.1\.0"):
            client.submit(texts, **terms)


def test_what_is_no_service_of_ours_is_told(live_url: str) -> None:
    page = Plan(answer=response("200 OK", b"<html>"))
    other = Plan(answer=response("404 Not Found", b"<html>"))
    with proxied(live_url, page, other) as proxy, Sentiq(proxy.url) as client:
        with pytest.raises(IncompatibleServiceError, match="no JSON object"):
            client.info()
        with pytest.raises(NotFoundError, match="no Sentiq service"):
            client.info()
