"""A large upload of CSV rows: its cost in the API, and whether each cell comes back beside its verdict."""

from __future__ import annotations

import csv
import functools
import io
import itertools
import time
import uuid
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import httpx2
import redis

from bench.load.upload import finished_job, used_bytes, watched_api
from bench.program import BenchError
from local.stack import Stack

_CSV = "text/csv"
_TEXT, _COLUMNS = "评论", ("订单", "门店", "日期", "备注")
_NOTES = ("", "007", '5" 屏', "a,b", "第一行\n第二行", " 前后有空格 ", "=1+1", '"', "𠮷野家", "很好\t真的")
_BATCH_ROWS = 500
_MAX_REPEATS = 100


def upload_and_join(
    stack: Stack, redis_url: str, texts: Sequence[str], rows: int, charset: str
) -> dict[str, Any]:
    """Send rows, wait for the job, and read the joined CSV; return the figures.

    Raise BenchError if a row or a cell is missing, changed or out of order.
    """
    store = redis.Redis.from_url(redis_url)
    with httpx2.Client(base_url=stack.url, timeout=120, trust_env=False) as http, watched_api(stack) as api:
        empty, start = used_bytes(store), time.monotonic()
        job, resumed = _uploaded(http, texts, rows, charset)
        upload_s = time.monotonic() - start
        uploaded, uploaded_rss = used_bytes(store), api["max"]
        job = finished_job(stack, http, job)
        job_s, finished = time.monotonic() - start, used_bytes(store)
        start = time.monotonic()
        _check_joined(http, job, rows)
        join_s = time.monotonic() - start
        http.delete(job["links"]["self"])
    return {
        "rows": rows,
        "charset": charset,
        "resumed": resumed,
        "upload_s": round(upload_s, 1),
        "over_after_s": round(job_s, 1),
        "join_s": round(join_s, 1),
        "api_rss_before_mb": round(api["before"] / 1e6, 1),
        "api_rss_growth_when_uploaded_mb": round((uploaded_rss - api["before"]) / 1e6, 1),
        "api_rss_growth_mb": round((api["max"] - api["before"]) / 1e6, 1),
        "redis_bytes_a_row_when_uploaded": round((uploaded - empty) / rows),
        "redis_bytes_a_row_when_over": round((finished - empty) / rows),
    }


def _uploaded(
    http: httpx2.Client, texts: Sequence[str], rows: int, charset: str
) -> tuple[dict[str, Any], int]:
    """Return the job of all rows, and how often the upload was resumed: a busy machine may be late."""
    headers = {"content-type": f"{_CSV}; charset={charset}", "idempotency-key": uuid.uuid4().hex}
    post = functools.partial(http.post, "/v1/jobs", headers=headers)
    query = {"text_column": _TEXT}
    answer = post(params=query, content=_written(texts, 0, rows, charset))
    for resumed in range(_MAX_REPEATS):
        job: dict[str, Any] = answer.json()
        if answer.is_success and not job["uploading"]:
            return job, resumed
        if answer.is_success:
            first = job["counts"]["total"]
            body = _written(texts, first, rows, charset)
            answer = post(params=query | {"from_index": first}, content=body)
        elif answer.status_code in (HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE):
            time.sleep(float(answer.headers.get("retry-after", 1)))
            answer = post(params=query, content=b"")
        else:
            break
    raise BenchError(f"the upload ended with {answer.status_code}: {answer.text}")


def _cells(number: int) -> list[str]:
    """Return the cells of a row beside its text: no two rows have the same ones."""
    note = _NOTES[number % len(_NOTES)]
    return [f"{number:09}", f"{number % 97}号店", f"2026-{number % 12 + 1:02}-01", note]


def _written(texts: Sequence[str], first: int, rows: int, charset: str) -> Iterator[bytes]:
    given = ([*_cells(number), texts[number % len(texts)]] for number in range(first, rows))
    for batch in _batched(itertools.chain([[*_COLUMNS, _TEXT]], given)):
        file = io.StringIO()
        csv.writer(file).writerows(batch)
        yield file.getvalue().encode(charset)


def _batched(rows: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    while batch := list(itertools.islice(rows, _BATCH_ROWS)):
        yield batch


class _Answer(io.RawIOBase):
    """The bytes of a streamed answer as a file."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._blocks = answer.iter_bytes()
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._left = self._left or next(self._blocks, b"")
        block, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(block)] = block
        return len(block)


def _check_joined(http: httpx2.Client, job: dict[str, Any], rows: int) -> None:
    """Read the joined rows; raise BenchError unless each has the cells that were sent, and a verdict."""
    count = 0
    with http.stream("GET", job["links"]["results"], headers={"accept": _CSV}) as answer:
        if answer.headers["x-complete"] != "true":
            raise BenchError("the joined rows are not complete")
        joined = csv.reader(io.TextIOWrapper(io.BufferedReader(_Answer(answer)), "utf-8", newline=""))
        header = next(joined)
        index, status = header.index("index"), header.index("status")
        for row in joined:
            if row[: len(_COLUMNS)] != _cells(count) or (row[index], row[status]) != (
                str(count),
                "succeeded",
            ):
                raise BenchError(f"row {count} came back as {row}")
            count += 1
    if count != rows or tuple(header[: len(_COLUMNS)]) != _COLUMNS:
        raise BenchError(f"{count} of {rows} rows came back, under {header}")
