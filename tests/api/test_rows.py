"""CSV and lines: what they hold, how they say whether they are complete, and links below a mount."""

from __future__ import annotations

import codecs
import csv
import io
import json
import threading
from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx2
import pytest

from local.redis_server import redis_server
from tasks.settings import Settings
from tasks.store import leases
from tasks.store.jobs import JobStore
from tasks.store.keys import UPLOADS, job_key
from tasks.vocabulary.attachments import MAX_JOB_DATA_BYTES
from tasks.vocabulary.chunks import ChunkResult
from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from tests.api.test_access import running_api
from tests.conftest import eventually
from tests.webhooks.jobs import BAD, GOOD, HOLDER, MODEL, lease_bulk

LINES, ROWS = {"accept": "application/x-ndjson"}, {"accept": "text/csv"}


@pytest.fixture(scope="module")
def unserved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, JobStore]]:
    """An API below /mount without a worker, and its job store; a chunk has two items."""
    with redis_server() as redis_url:
        settings = {"AUTH": "none", "SENTIMENT_CHUNK_ITEMS": "2", "SCRIPT_NAME": "/mount"}
        log = tmp_path_factory.mktemp("rows") / "api.log"
        with running_api(redis_url, log, prefix="/mount", **settings) as url:
            yield url, JobStore.connect(Settings(redis_url=redis_url))


@pytest.fixture
def store(unserved: tuple[str, JobStore]) -> JobStore:
    return unserved[1]


@pytest.fixture
def http(unserved: tuple[str, JobStore]) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=unserved[0], timeout=60, trust_env=False) as client:
        yield client


def submit(http: httpx2.Client, *ids: str | None) -> str:
    items = [{"text": "好", "id": item_id} for item_id in ids]
    job: dict[str, Any] = (
        http.post("/v1/jobs", json={"items": items, "priority": "bulk"}).raise_for_status().json()
    )
    return str(job["id"])


def finish_chunks(store: JobStore, count: int) -> None:
    """Finish the oldest chunks, of which a lease takes one at a time."""
    for _ in range(count):
        held = lease_bulk(store, 1)
        results = [ChunkResult(each.chunk, [GOOD] * len(each.chunk.items), 1) for each in held.chunks]
        leases.finish(store, held, results, MODEL)


def results(http: httpx2.Client, job_id: str, headers: dict[str, str], **query: str) -> httpx2.Response:
    return http.get(f"/v1/jobs/{job_id}/results", headers=headers, params=query).raise_for_status()


def indexes(answer: httpx2.Response) -> list[int]:
    if answer.headers["content-type"].startswith("text/csv"):
        return [int(row["index"]) for row in csv.DictReader(io.StringIO(answer.text))]
    return [
        line["index"] for line in map(json.loads, filter(None, answer.text.split("\n"))) if "index" in line
    ]


def cursor_of(answer: httpx2.Response) -> str | None:
    """Return the header's cursor; assert that all parts of the answer agree with it."""
    cursor = answer.headers.get("x-next-cursor")
    assert answer.headers["x-complete"] == ("true" if cursor is None else "false")
    if answer.headers["content-type"].startswith("application/x-ndjson"):
        end = json.loads(answer.text.strip().split("\n")[-1])
        assert (end["next_cursor"], end["complete"]) == (cursor, cursor is None)
    return cursor


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/csv; charset=utf-8", "text/csv"),
        ("text/csv;charset=UTF-8;header=present", "text/csv"),
        ("application/x-ndjson;charset=utf-8", "application/x-ndjson"),
        ("application/json; charset=utf-8, text/csv;q=0.5", "application/json"),
        ("application/json;q=0.5, text/csv; charset=utf-8; q=0.9", "text/csv"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
    ],
)
def test_parameters_in_accept_make_no_difference(
    http: httpx2.Client, store: JobStore, accept: str, media_type: str
) -> None:
    job_id = submit(http, None)
    finish_chunks(store, 1)
    answer = results(http, job_id, {"accept": accept})
    assert answer.headers["content-type"].split(";")[0] == media_type


@pytest.mark.parametrize("headers", [LINES, ROWS])
def test_a_stream_says_whether_it_is_complete_and_where_the_rest_begins(
    http: httpx2.Client, store: JobStore, headers: dict[str, str]
) -> None:
    job_id = submit(http, *["x"] * 7)
    assert cursor_of(results(http, job_id, headers)) == "0.0"
    finish_chunks(store, 2)
    running = results(http, job_id, headers)
    assert (indexes(running), cursor_of(running)) == ([0, 1, 2, 3], "4.0")
    behind = results(http, job_id, headers, cursor="4.0")
    assert (indexes(behind), cursor_of(behind)) == ([], "4.0")
    part = results(http, job_id, headers, limit="3")
    assert (indexes(part), cursor_of(part)) == ([0, 1, 2], "2.1")
    finish_chunks(store, 2)
    rest = results(http, job_id, headers, cursor="2.1")
    assert (indexes(rest), cursor_of(rest)) == ([3, 4, 5, 6], None)
    for limit, seen in (("6", list(range(6))), ("7", list(range(7))), ("8", list(range(7)))):
        limited = results(http, job_id, headers, limit=limit)
        assert (indexes(limited), cursor_of(limited)) == (seen, "6.0" if limit == "6" else None)
    assert cursor_of(results(http, job_id, headers, status="failed")) is None
    whole = results(http, job_id, headers)
    assert (indexes(whole), cursor_of(whole)) == (list(range(7)), None)


def test_rows_that_end_before_their_job_are_cut_off(http: httpx2.Client, store: JobStore) -> None:
    job_id = submit(http, *["x"] * 4)
    finish_chunks(store, 1)
    seen: list[bytes] = []

    def follow() -> None:
        path, query = f"/v1/jobs/{job_id}/results", {"follow": "true"}
        with (
            httpx2.Client(base_url=str(http.base_url), timeout=60, trust_env=False) as client,
            pytest.raises(httpx2.RemoteProtocolError),
            client.stream("GET", path, params=query, headers=ROWS) as answer,
        ):
            seen.extend(answer.iter_bytes())

    follower = threading.Thread(target=follow)
    follower.start()
    eventually(lambda: b"\n1,x,succeeded" in b"".join(seen))
    http.delete(f"/v1/jobs/{job_id}")
    follower.join(30)
    assert not follower.is_alive()


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-5", "'-5"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("\uff1d1", "'\uff1d1"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\x00b\x9bc\x7f", r"a\x00b\x9bc\x7f"),
        ('a,"b"\nc', 'a,"b"\nc'),
        ("r-1", "r-1"),
        ("编号", "编号"),
    ],
)
def test_cells_are_as_they_came_and_on_request_no_formula_or_control_character(
    http: httpx2.Client, store: JobStore, given: str, written: str
) -> None:
    job_id = submit(http, given)
    store.redis.hset(job_key(job_id), "columns", json.dumps([given]))
    finish_chunks(store, 1)
    (plain,) = rows_of(results(http, job_id, ROWS))
    (safe,) = rows_of(results(http, job_id, ROWS, safe="true"))
    assert (plain["id"], safe["id"]) == (given, written)
    assert given in plain
    assert written in safe, "names of columns are defused too"
    assert float(safe["score"]) == 0.5
    assert json.loads(results(http, job_id, LINES).text.split("\n")[0])["id"] == given


def rows_of(answer: httpx2.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_rows_are_a_file_with_a_byte_order_mark_on_request(http: httpx2.Client, store: JobStore) -> None:
    job_id = submit(http, "r1")
    finish_chunks(store, 1)
    plain, marked = results(http, job_id, ROWS), results(http, job_id, ROWS, bom="true")
    assert plain.headers["content-disposition"] == f'attachment; filename="{job_id}.csv"'
    assert plain.content.startswith(b"index,")
    assert marked.content == codecs.BOM_UTF8 + plain.content
    assert "content-disposition" not in results(http, job_id, LINES).headers
    for headers, name in product(
        (LINES, {"accept": "application/json"}), ("bom=true", "safe=true", "columns=id")
    ):
        refused = http.get(f"/v1/jobs/{job_id}/results?{name}", headers=headers)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (
            422,
            f"?{name.split('=')[0]}",
        )


def test_every_link_of_a_mounted_api_begins_with_its_mount(http: httpx2.Client) -> None:
    answer = http.post("/v1/jobs", json={"text": "好"})
    job = answer.json()
    assert answer.headers["location"] == f"/mount/v1/jobs/{job['id']}" == job["links"]["self"]
    links = [link for link in job["links"].values() if link]  # none where there is no comparison
    assert {link.startswith(job["links"]["self"]) for link in links} == {True}
    origin = httpx2.URL(str(http.base_url)).copy_with(path="/")
    assert http.get(str(origin.join(job["links"]["deliveries"]))).status_code == 200
    listed = http.get("/v1/jobs?limit=1").json()["data"][0]["links"]
    event = json.loads(
        next(line for line in stream(http, job["links"]["events"]) if line.startswith("data: "))[6:]
    )
    assert {listed["self"], event["links"]["self"]} == {job["links"]["self"]}
    assert http.get("/v1/jobs/nope").json()["instance"] == "/mount/v1/jobs/nope"


def stream(http: httpx2.Client, link: str) -> Iterator[str]:
    with http.stream("GET", link.removeprefix("/mount")) as answer:
        yield from answer.iter_lines()


def test_data_comes_back_with_its_item_as_it_came(http: httpx2.Client, store: JobStore) -> None:
    given = ['{"shop": "\\u5357",\n"price": 12.50}', None, '{"n":123456789012345678901,"n":1e400}']
    items = [f'{{"text":"好"{f", {chr(34)}data{chr(34)}:{data}" if data else ""}}}' for data in given]
    body = f'{{"priority":"bulk","items":[{",".join(items)}]}}'.encode()
    headers = {"content-type": "application/json", "idempotency-key": "data"}
    job = http.post("/v1/jobs", content=body, headers=headers).raise_for_status().json()
    finish_chunks(store, 2)
    kept = [data and data.replace("\n", " ") for data in given]
    expected = [f'"data":{data}}}' if data else '"error":null}' for data in kept]
    page = results(http, job["id"], {}).text
    lines = results(http, job["id"], LINES).text.splitlines()
    polled = http.get(f"/v1/jobs/{job['id']}?include=results").text
    for line, end in zip(lines, expected, strict=False):
        assert line.endswith(end)
        assert line in page
        assert line in polled
    assert [item.get("data") for item in json.loads(page)["data"]] == [
        json.loads(data) if data else None for data in given
    ]
    again = http.post("/v1/jobs", content=body, headers=headers)
    assert (again.json()["id"], again.headers["idempotent-replayed"]) == (job["id"], "true")
    other = http.post("/v1/jobs", content=body.replace(b"12.50", b"12.5"), headers=headers)
    assert other.json()["code"] == "idempotency_key_reused"


def test_data_that_is_too_large_is_refused_where_it_stands(http: httpx2.Client) -> None:
    items = [{"text": "好"}, {"text": "好", "data": {"note": "x" * 2048}}]
    answer = http.post("/v1/jobs", json={"items": items})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "/items/1/data")
    assert error["detail"] == "Input should be a JSON object of at most 2048 bytes"


def submit_with_data(http: httpx2.Client, *data: dict[str, Any] | None) -> str:
    items = [{"text": "好", "data": each} for each in data]
    body = {"items": items, "priority": "bulk"}
    return str(http.post("/v1/jobs", json=body).raise_for_status().json()["id"])


def test_rows_of_items_have_data_as_one_column(http: httpx2.Client, store: JobStore) -> None:
    given = [{"shop": "南山,店", "stars": [1, "二"]}, None]
    job_id = submit_with_data(http, *given)
    finish_chunks(store, 1)
    first, second = rows_of(results(http, job_id, ROWS))
    assert list(first)[-1] == "data"
    assert (json.loads(first["data"]), second["data"]) == (given[0], "")


def test_the_columns_of_the_caller_come_first_and_ours_give_way(http: httpx2.Client, store: JobStore) -> None:
    columns = ["shop", "label", "sentiq_label", "=1", "a,b"]
    given = [{name: f"{name} \r\n {i}" for name in columns} for i in range(3)]
    job_id = submit_with_data(http, *given)
    store.redis.hset(job_key(job_id), "columns", json.dumps(columns))
    finish_chunks(store, 2)
    rows = rows_of(results(http, job_id, ROWS))
    assert list(rows[0])[: len(columns) + 1] == [*columns, "index"]
    assert [{name: row[name] for name in columns} for row in rows] == given
    assert {row["sentiq_sentiq_label"] for row in rows} == {"positive"}
    assert "data" not in rows[0]


def test_columns_are_chosen_ordered_and_spread(http: httpx2.Client, store: JobStore) -> None:
    job_id = submit_with_data(http, {"shop": "南山", "n": 2.5, "ok": True, "of,two": {"a": None}}, None)
    finish_chunks(store, 1)
    chosen = 'score,data.shop,data.n,data.ok,"data.of,two",data.none,index'
    answer = results(http, job_id, ROWS, columns=chosen)
    assert answer.text.splitlines() == [
        chosen,
        '0.5,南山,2.5,true,"{""a"":null}",,0',
        "0.5,,,,,,1",
    ]
    store.labels.record("test@1", NEGATIVE_POSITIVE)
    spread = "prob.positive,probabilities,aspects,prob.negative,text_tokens"
    assert (
        results(http, job_id, ROWS, columns=spread).text.splitlines()[1:]
        == ['0.75,"{""negative"":0.25,""positive"":0.75}",,0.25,5'] * 2
    )
    refused = http.get(f"/v1/jobs/{job_id}/results", headers=ROWS, params={"columns": "id,prob.neutral"})
    (error,) = refused.json()["errors"]
    assert error["detail"] == "there is no column `prob.neutral`; known: prob.negative, prob.positive"
    assert results(http, job_id, ROWS, columns="aspect.价格").text.splitlines() == ["aspect.价格", '""', '""']


@pytest.mark.parametrize(
    ("columns", "detail"),
    [
        ("labels,id", "there is no column `labels`; known: index, id, status"),
        ("data.", "there is no column `data.`; known: index"),
        ("id,label,id", "Input should name a column once"),
        ('"id', "Input should be names as one row of CSV: unexpected end of data"),
        ("id\nlabel", "Input should be names as one row of CSV"),
        ("", "String should have at least 1 character"),
        ("x" * 4097, "String should have at most 4096 characters"),
    ],
)
def test_columns_that_no_row_has_are_refused_by_name(http: httpx2.Client, columns: str, detail: str) -> None:
    job_id = submit(http, None)
    answer = http.get(f"/v1/jobs/{job_id}/results", headers=ROWS, params={"columns": columns})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "?columns")
    assert error["detail"].startswith(detail)


def fail_chunks(store: JobStore) -> None:
    """Fail every chunk that waits."""
    while held := leases.lease(store, HOLDER, 1):
        results = [ChunkResult(each.chunk, [BAD] * len(each.chunk.items), 1) for each in held.chunks]
        leases.finish(store, held, results, MODEL)


def test_a_retry_names_the_sources_of_its_items_and_keeps_what_they_had(
    http: httpx2.Client, store: JobStore
) -> None:
    fail_chunks(store)  # what other tests left
    lines = [json.dumps({"text": f"第{i}个", "data": {"n": i}}) for i in range(4)]
    upload = {"content-type": "application/x-ndjson"}
    first = http.post("/v1/jobs?keep_texts=true", content="\n".join(lines), headers=upload).json()
    assert first["keep_texts"] is True
    finish_chunks(store, 1)
    fail_chunks(store)
    again = http.post(f"/v1/jobs/{first['id']}/retry").raise_for_status().json()
    fail_chunks(store)
    last = http.post(f"/v1/jobs/{again['id']}/retry").raise_for_status().json()
    finish_chunks(store, 1)
    assert (again["keep_texts"], last["retry_of"]) == (True, again["id"])
    for job, sources in ((again, ["2", "3"]), (last, ["0", "1"])):
        rows = rows_of(results(http, job["id"], ROWS))
        assert [(row["source_index"], row["text"], row["data"]) for row in rows] == [
            (source, f"第{n}个", f'{{"n": {n}}}') for source, n in zip(sources, (2, 3), strict=True)
        ]
        items = [json.loads(line) for line in results(http, job["id"], LINES).text.splitlines()][:-1]
        assert [(item["source_index"], item["text"], item["data"]) for item in items] == [
            (int(source), f"第{n}个", {"n": n}) for source, n in zip(sources, (2, 3), strict=True)
        ]
    assert "source_index" not in rows_of(results(http, first["id"], ROWS))[0]


def test_results_hold_no_text_unless_it_was_asked_for(http: httpx2.Client, store: JobStore) -> None:
    fail_chunks(store)  # what other tests left
    kept, plain = (
        http.post("/v1/jobs", json={"text": "留不留", "keep_texts": keeps, "priority": "bulk"}).json()["id"]
        for keeps in (True, False)
    )
    finish_chunks(store, 2)
    for headers in (LINES, ROWS, {"accept": "application/json"}):
        assert "留不留" in results(http, kept, headers).text
        assert "留不留" not in results(http, plain, headers).text
    written = b"".join(store.redis.dump(key) or b"" for key in store.redis.scan_iter(f"*{plain}*"))
    assert "留不留".encode() not in written


def test_an_upload_whose_items_carry_too_much_data_is_refused_and_leaves_nothing(
    http: httpx2.Client, store: JobStore
) -> None:
    lines = b"".join(b'{"text":"\xe5\xa5\xbd","data":{"n":%d}}\n' % i for i in range(4000))
    job_ids: list[str] = []

    def body() -> Iterator[bytes]:
        yield lines
        job_ids.extend(eventually(lambda: [each.decode() for each in store.redis.zrange(UPLOADS, 0, -1)]))
        store.redis.hset(job_key(job_ids[0]), "data_bytes", MAX_JOB_DATA_BYTES)
        yield lines

    answer = http.post("/v1/jobs", content=body(), headers={"content-type": "application/x-ndjson"})
    assert (answer.status_code, answer.json()["code"]) == (413, "job_data_too_large")
    assert str(MAX_JOB_DATA_BYTES) in answer.json()["detail"]
    assert http.get(f"/v1/jobs/{job_ids[0]}").status_code == 410
