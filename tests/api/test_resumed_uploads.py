"""An upload that was cut is resumed with its Idempotency-Key: one job, each item once."""

from __future__ import annotations

import gzip
import json
import socket
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.api.test_jobs import finished
from tests.api.test_upload import NDJSON, lines, results, texts
from tests.conftest import eventually

ITEMS = 600
TEXTS = texts(ITEMS)


class Resumed:
    """An upload of one key, whose first request is cut."""

    def __init__(
        self,
        http: httpx2.Client,
        url: str,
        body: bytes,
        media_type: str = NDJSON["content-type"],
        query: str = "",
    ) -> None:
        self.http, self.body = http, body
        self.key, self.tag = uuid.uuid4().hex, uuid.uuid4().hex
        self._url, self._media_type = url, media_type
        self._path = f"/v1/jobs?metadata.tag={self.tag}{query}"

    def cut(self) -> dict[str, Any]:
        """Send two thirds of the body and break the connection; return the answer's problem."""
        place = urlsplit(self._url)
        head = (
            f"POST {self._path} HTTP/1.1\r\nhost: localhost\r\n"
            f"idempotency-key: {self.key}\r\ncontent-type: {self._media_type}\r\n"
            f"content-length: {len(self.body)}\r\n\r\n"
        )
        with socket.create_connection((place.hostname or "", place.port or 0), timeout=60) as connection:
            connection.sendall(head.encode() + self.body[: len(self.body) * 2 // 3])
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb").read()
        problem: dict[str, Any] = json.loads(answer.rpartition(b"\r\n\r\n")[2])
        return problem

    def post(self, body: bytes, query: str = "") -> httpx2.Response:
        headers = {"content-type": self._media_type, "idempotency-key": self.key}
        return self.http.post(f"{self._path}{query}", content=body, headers=headers)

    def cancel(self) -> None:
        for job in self.http.get("/v1/jobs", params={"metadata.tag": self.tag}).json()["data"]:
            self.http.post(f"/v1/jobs/{job['id']}/cancel")

    def job(self) -> dict[str, Any]:
        (job,) = self.http.get("/v1/jobs", params={"metadata.tag": self.tag}).json()["data"]
        return dict(job)


@pytest.fixture
def upload(http: httpx2.Client, live_url: str) -> Iterator[Resumed]:
    begun = Resumed(http, live_url, lines(TEXTS))
    yield begun
    begun.cancel()  # else other tests wait for it


def test_the_same_request_again_adds_what_is_missing(upload: Resumed) -> None:
    problem = upload.cut()
    job = upload.job()
    assert (problem["status"], problem["code"]) == (400, "upload_incomplete")
    assert (problem["job_id"], problem["recorded_items"]) == (job["id"], job["counts"]["total"])
    assert 380 < job["counts"]["total"] < 420
    assert (job["uploading"], job["error"]) == (True, None)
    again = upload.post(upload.body)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert (again.json()["id"], again.json()["counts"]["total"]) == (job["id"], ITEMS)
    done = finished(upload.http, job["id"])
    assert (done["status"], done["uploading"], done["error"]) == ("succeeded", False, None)
    items = results(upload.http, job["id"])
    assert [item["index"] for item in items] == list(range(ITEMS))
    assert [item["chars"] for item in items] == [len(text) for text in TEXTS]
    replayed = upload.post(upload.body)
    assert (replayed.json()["id"], replayed.json()["status"]) == (job["id"], "succeeded")
    assert upload.post(lines(TEXTS[1:])).json()["code"] == "idempotency_key_reused"


def test_gzip_that_ends_early_leaves_the_upload_open(upload: Resumed) -> None:
    upload.cut()
    packed = gzip.compress(upload.body)
    broken = upload.post(packed[:-20])
    assert (broken.status_code, broken.json()["code"]) == (400, "invalid_gzip")
    assert upload.job()["uploading"]
    assert upload.post(packed).json()["counts"]["total"] == ITEMS


def test_an_upload_reads_as_running_until_it_is_closed(upload: Resumed) -> None:
    upload.cut()
    job = eventually(lambda: job if not (job := upload.job())["counts"]["pending"] else None, within_s=60)
    assert job is not None
    assert (job["status"], job["uploading"], job["finished_at"]) == ("running", True, None)
    upload.http.post(f"/v1/jobs/{job['id']}/cancel")
    gone = upload.post(upload.body)
    assert (gone.status_code, gone.json()["code"]) == (409, "job_closed")
    anew = upload.post(upload.body).json()
    assert (anew["id"] != job["id"], anew["counts"]["total"]) == (True, ITEMS)


def test_a_request_without_items_learns_how_many_are_recorded_and_the_rest_is_sent_alone(
    upload: Resumed,
) -> None:
    upload.cut()
    asked = upload.post(b"")
    job, recorded = asked.json(), asked.json()["counts"]["total"]
    assert (asked.status_code, job["uploading"], 0 < recorded < ITEMS) == (202, True, True)
    rest = lines(TEXTS[recorded:])
    for wrong in (1, recorded - 1, recorded + 1):
        refused = upload.post(rest, f"&from_index={wrong}")
        assert (refused.status_code, refused.json()["code"]) == (409, "upload_offset")
        assert (refused.json()["job_id"], refused.json()["recorded_items"]) == (job["id"], recorded)
    whole = upload.post(rest, f"&from_index={recorded}")
    assert (whole.json()["id"], whole.json()["counts"]["total"]) == (job["id"], ITEMS)
    assert whole.json()["uploading"] is False
    # The answer may get lost, too.
    again = upload.post(rest, f"&from_index={recorded}")
    assert (again.status_code, again.json()["recorded_items"]) == (409, ITEMS)
    assert upload.post(b"").json()["counts"]["total"] == ITEMS
    assert upload.post(upload.body).json()["id"] == job["id"]


def test_other_items_or_terms_are_not_added(upload: Resumed) -> None:
    upload.cut()
    recorded = upload.job()["counts"]["total"]
    for body, query in (
        (lines(["别的", *TEXTS[1:]]), ""),
        (lines(TEXTS[:10]), ""),
        (upload.body, "&explain=true"),
        (lines(TEXTS[recorded:]), f"&explain=true&from_index={recorded}"),
    ):
        refused = upload.post(body, query)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert (upload.job()["counts"]["total"], upload.job()["uploading"]) == (recorded, True)
    assert upload.post(upload.body).json()["counts"]["total"] == ITEMS


def test_a_part_needs_its_key_and_an_upload_to_resume(upload: Resumed) -> None:
    alone = upload.http.post("/v1/jobs?from_index=5", content=b'"a"', headers=NDJSON)
    assert (alone.status_code, alone.json()["errors"][0]["pointer"]) == (422, "?from_index")
    early = upload.post(upload.body, "&from_index=5")
    assert (early.status_code, early.json()["recorded_items"]) == (409, 0)
    assert upload.post(upload.body, "&from_index=0").json()["counts"]["total"] == ITEMS
