from __future__ import annotations

import httpx2
import pytest


def refused(http: httpx2.Client, webhook: object) -> dict[str, str]:
    """The one error of a job whose webhook is refused."""
    answer = http.post("/v1/jobs", json={"text": "好", "webhook": webhook})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    return dict(error)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0177.0.0.1/",
        ),
        *(
            "http://127。0。0。1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::]/",
            "http://0.0.0.0/",
        ),
        *("http://10.0.0.1:8080/", "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/"),
        *(
            "http://localhost:6379/",
            "http://redis:6379/",
            "http://%6cocalhost/",
            "http://metadata.google.internal/",
        ),
        "https://user:secret@example.com/",
    ],
)
def test_a_url_that_is_not_public_is_refused(http: httpx2.Client, url: str) -> None:
    error = refused(http, {"url": url})
    assert (error["pointer"], error["code"]) == ("/webhook/url", "webhook_refused")
    assert "secret" not in error["detail"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "http://a b/",
        "http://x:99999/",
    ],
)
def test_what_is_no_http_url_is_refused(http: httpx2.Client, url: str) -> None:
    assert refused(http, {"url": url})["pointer"] == "/webhook/url"


@pytest.mark.parametrize(
    ("webhook", "pointer"),
    [
        ({}, "/webhook/url"),
        ({"url": "https://example.com/", "event": []}, "/webhook/event"),
        ({"url": "https://example.com/", "events": []}, "/webhook/events"),
        ({"url": "https://example.com/", "events": ["job.done"]}, "/webhook/events/0"),
        ({"url": "https://example.com/" + "a" * 3000}, "/webhook/url"),
        ("https://example.com/", "/webhook"),
    ],
)
def test_the_field_that_is_wrong_is_named(http: httpx2.Client, webhook: object, pointer: str) -> None:
    assert refused(http, webhook)["pointer"] == pointer


def test_a_job_without_a_webhook_has_no_deliveries(http: httpx2.Client) -> None:
    job = http.post("/v1/jobs", json={"text": "好"}, headers={"Prefer": "wait=20"}).json()
    answer = http.get(job["links"]["deliveries"])
    assert (answer.status_code, answer.json()) == (200, {"object": "list", "job_id": job["id"], "data": []})


def test_deliveries_of_an_unknown_job_are_not_found(http: httpx2.Client) -> None:
    answer = http.get("/v1/jobs/job_nonsense/deliveries")
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
