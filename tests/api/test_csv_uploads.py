"""CSV and TSV go in, and come out joined with the verdicts: every cell as it came."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import uuid
from typing import Any

import httpx2
import pytest

from tests.api.test_jobs import finished
from tests.api.test_resumed_uploads import Resumed

CELLS = [
    "",
    "007",
    '5" 屏',
    "a,b",
    "第一行\n第二行",
    " 有空格 ",
    "=1+1",
    "很好\t真的",
    "'",
    '"',
    "𠮷",
    "null",
]
GOOD = "服务很贴心"


def upload(http: httpx2.Client, body: str | bytes, query: str = "", **headers: str) -> httpx2.Response:
    raw = body.encode() if isinstance(body, str) else body
    return http.post(f"/v1/jobs?{query}", content=raw, headers={"content-type": "text/csv"} | headers)


def rows_of(http: httpx2.Client, job: dict[str, Any], query: str = "") -> list[dict[str, str]]:
    finished(http, job["id"])
    answer = http.get(f"{job['links']['results']}?{query}", headers={"accept": "text/csv"})
    assert answer.headers["x-complete"] == "true"
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


def outcomes(http: httpx2.Client, job: dict[str, Any]) -> list[dict[str, Any]]:
    done = finished(http, job["id"], include="results")
    return [item["error"] or {"code": "succeeded"} for item in done["results"]]


@pytest.mark.parametrize(
    ("media_type", "delimiter", "charset", "codec"),
    [
        ("text/csv", ",", "utf-8", "utf-8"),
        ("text/csv", ",", "utf-8", "utf-8-sig"),
        ("text/csv", ",", "UTF-8-SIG", "utf-8-sig"),
        ("text/tab-separated-values", "\t", "gb18030", "gb18030"),
    ],
)
def test_every_cell_comes_back_as_it_came(
    http: httpx2.Client, media_type: str, delimiter: str, charset: str, codec: str
) -> None:
    chance, file = random.Random(codec), io.StringIO()
    texts = [f"第{i}次来，{GOOD}" for i in range(300)]
    given = [{"id": chance.choice(CELLS), "评论": text, "score": chance.choice(CELLS)} for text in texts]
    writer = csv.DictWriter(file, ["id", "评论", "score"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(given)
    body, headers = gzip.compress(file.getvalue().encode(codec)), {"content-encoding": "gzip"}
    answer = upload(
        http, body, "text_column=评论", **headers, **{"content-type": f"{media_type}; charset={charset}"}
    )
    assert answer.status_code == 202, answer.text
    assert (answer.json()["counts"]["total"], answer.json()["priority"]) == (300, "bulk")
    rows = rows_of(http, answer.json())
    assert [(row["id"], row["score"]) for row in rows] == [(row["id"], row["score"]) for row in given]
    assert [row["sentiq_id"] for row in rows] == [""] * 300, "ours is another column"
    assert {row["label"] for row in rows} == {"positive"}
    assert {float(row["sentiq_score"]) > 0 for row in rows} == {True}
    items = http.get(answer.json()["links"]["results"], params={"limit": 1}).json()["data"]
    assert items[0]["data"] == {"id": given[0]["id"], "score": given[0]["score"]}


def test_a_broken_row_is_an_item_that_names_its_line(http: httpx2.Client) -> None:
    body = f'text,shop\n"{GOOD}\n真的",甲\nonly\n\n,乙\n"a"b,丙\n{GOOD},丁\n'.encode() + b"\xff,x\n"
    job = upload(http, body).json()
    errors = outcomes(http, job)
    assert [(each["code"], each.get("line")) for each in errors] == [
        *(("succeeded", None), ("invalid_row", 4), ("empty_text", 6), ("invalid_row", 7)),
        *(("succeeded", None), ("invalid_encoding", 9)),
    ]
    assert errors[1]["message"].endswith("The row begins in line 4.")
    rows = rows_of(http, job)
    assert [row["shop"] for row in rows] == ["甲", "", "乙", "", "丁", ""]
    assert "line 4" in rows[1]["error_message"]
    strict = upload(http, body, "strict=true").json()["errors"]
    assert [error["pointer"] for error in strict] == ["/1", "/2", "/3", "/5"]
    assert "line 6" in strict[1]["detail"]


def test_an_open_quote_ends_the_upload_with_its_line(http: httpx2.Client) -> None:
    body = "text,shop\n" + f"{GOOD},甲\n" * 100 + f'{GOOD},"乙\n' + f"{GOOD},丙\n" * 100
    tag = uuid.uuid4().hex
    answer = upload(http, body, f"metadata.tag={tag}", **{"idempotency-key": tag})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["recorded_items"]) == (400, "upload_incomplete", 100)
    assert "the quote that opens in line 102" in problem["detail"]
    (job,) = http.get("/v1/jobs", params={"metadata.tag": tag}).json()["data"]
    done = finished(http, job["id"])
    assert (done["id"], done["uploading"]) == (problem["job_id"], False)
    assert (done["error"]["code"], done["error"]["line"]) == ("upload_incomplete", 102)
    assert "line 102" in done["error"]["message"]
    again = upload(http, body.replace('"', ""), f"metadata.tag={tag}", **{"idempotency-key": tag})
    assert (again.json()["id"] != job["id"], again.json()["counts"]["total"]) == (True, 201)


def test_an_open_quote_in_the_first_rows_makes_no_job(http: httpx2.Client) -> None:
    tag = uuid.uuid4().hex
    for body in ('text\n"a', 'text,"b\n'):
        answer = upload(http, body, f"metadata.tag={tag}")
        assert (answer.status_code, answer.json()["code"]) == (400, "upload_incomplete")
        assert "job_id" not in answer.json()
    assert not http.get("/v1/jobs", params={"metadata.tag": tag}).json()["data"]


@pytest.mark.parametrize(
    ("body", "query", "content_type", "refusal"),
    [
        ("评论\n好\n", "", "text/csv", (422, "?text_column")),
        ("text\n", "", "text/csv", (422, "no_items")),
        ("", "", "text/csv", (422, "no_items")),
        ("text,a,a\n好,1,2\n", "", "text/csv", (422, "invalid_header")),
        ("text\n好\n", "", "text/csv; charset=big5", (415, "unsupported_charset")),
        ('"好"', "text_column=a", "application/x-ndjson", (422, "?text_column")),
        ("text\n好\n", "text_column=a&text_column=b", "text/csv", (422, "?text_column")),
    ],
)
def test_what_does_not_fit_is_named(
    http: httpx2.Client, body: str, query: str, content_type: str, refusal: tuple[int, str]
) -> None:
    answer = upload(http, body, query, **{"content-type": content_type})
    problem = answer.json()
    error = problem.get("errors", [{}])[0]
    assert (answer.status_code, refusal[1] in (error.get("pointer"), error.get("code"), problem["code"])) == (
        refusal[0],
        True,
    ), answer.text


def test_rows_are_resumed_below_their_header(http: httpx2.Client, live_url: str) -> None:
    lines = [f"第{i}次来,{i}\n" for i in range(400)]
    body = ("text,n\n" + "".join(lines)).encode()
    rows = Resumed(http, live_url, body, "text/csv", "&summarize_by=n")
    recorded = rows.cut()["recorded_items"]
    assert 200 < recorded < 300
    asked = rows.post(b"").json()
    assert (asked["uploading"], asked["counts"]["total"]) == (True, recorded)
    other = rows.post("text,n,m\n第0次来,0,0\n".encode())
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    rest = ("text,n\n" + "".join(lines[recorded:])).encode()
    whole = rows.post(rest, f"&from_index={recorded}").json()
    assert (whole["id"], whole["counts"]["total"], whole["uploading"]) == (asked["id"], 400, False)
    assert [row["n"] for row in rows_of(http, whole)] == [str(i) for i in range(400)]
    assert rows.post(body).json()["id"] == asked["id"]
    summary = http.get(f"/v1/jobs/{whole['id']}/summary", params={"by": "n"}).json()
    assert [(group["value"], group["items"]) for group in summary["groups"]] == [
        (str(i), 1) for i in range(400)
    ]


def test_the_summary_counts_by_a_column(http: httpx2.Client) -> None:
    body = "shop,text\n" + f"甲,{GOOD}\n" * 3 + f"乙,{GOOD}\n" * 2
    job = upload(http, body, "summarize_by=shop").json()
    finished(http, job["id"])
    summary = http.get(f"/v1/jobs/{job['id']}/summary", params={"by": "shop"}).json()
    assert json.dumps(summary, ensure_ascii=False).count("甲") == 1
