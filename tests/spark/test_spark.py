"""The Spark example of docs/client.md, run by Spark in local mode against the real service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from sentiq import Sentiq

from local.processes import ROOT
from tests.client.proxy import proxied

# Spark hides values that hold the word "secret", so the key is one that it does not know.
KEY = "sentiq_4fq9xw2mz7"
PROGRAM = Path(__file__).with_name("program.py")
DOCUMENT = (ROOT / "docs" / "client.md").read_text("utf-8")
(EXAMPLE,) = [
    each
    for each in re.findall(r"^```python other\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    if "mapInPandas" in each
]
PARTITIONS, FRAMES = 2, 4
DRIVER_S = 240

pytestmark = pytest.mark.timeout(300)


def rows_of(reviews: list[dict[str, str]]) -> list[tuple[int, str | None]]:
    """Return as many rows as make four frames in two partitions; one has no text."""
    texts: list[str | None] = [review["text"] for review in reviews[:20]]
    texts[7] = None
    return list(enumerate(texts))


def drive(url: str, folder: Path, rows: list[tuple[int, str | None]], **more: str) -> tuple[Any, str]:
    """Run the program with the key in its environment; return its rows by number, and all that it logged."""
    kept = ("HOME", "JAVA_HOME", "PATH", "TMPDIR")
    env = {name: os.environ[name] for name in kept if name in os.environ} | {
        "LANG": "C.UTF-8",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT / "client"),
        "SENTIQ_API_KEY": KEY,
        "SENTIQ_URL": url,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    given = json.dumps({"example": EXAMPLE, "rows": rows, "folder": str(folder), **more}) + "\n"
    done = subprocess.run(
        [sys.executable, PROGRAM],
        cwd=folder,
        env=env,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=DRIVER_S,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return sorted(json.loads(done.stdout), key=lambda row: row["number"]), done.stderr


def assert_scored(scored: list[dict[str, Any]], rows: list[tuple[int, str | None]], client: Sentiq) -> None:
    """The rows are those that were given, with the verdicts of the client."""
    assert [(row["number"], row["text"]) for row in scored] == rows
    texts = [text for _, text in rows if text is not None]
    expected = [(each.label, each.confidence, each.score) for each in client.score(iter(texts))]
    verdicts = [(row["label"], row["confidence"], row["score"]) for row in scored]
    assert [verdict for row, verdict in zip(rows, verdicts, strict=True) if row[1]] == expected
    assert [verdict for row, verdict in zip(rows, verdicts, strict=True) if not row[1]] == [
        (None, None, None)
    ]
    assert {label for label, _, _ in expected} == {"positive", "negative"}


def test_verdicts_are_those_of_the_client_and_the_key_is_in_no_log(
    live_url: str, tmp_path: Path, reviews: list[dict[str, str]]
) -> None:
    rows = rows_of(reviews)
    with proxied(live_url) as proxy, Sentiq(live_url) as client:
        scored, logged = drive(proxy.url, tmp_path, rows)
        assert_scored(scored, rows, client)
        assert len(proxy.received) == PARTITIONS
        received = b"".join(bytes(each) for each in proxy.received)
        assert received.count(b"POST /v1/jobs") == FRAMES
        assert received.count(b"Bearer " + KEY.encode()) == received.count(b" HTTP/1.1\r\n")
    assert "INFO" in logged
    written = [
        logged,
        *(each.read_text("utf-8") for each in (tmp_path / "events").rglob("*") if each.is_file()),
    ]
    assert "SparkListenerEnvironmentUpdate" in "".join(written[1:])
    assert [KEY in each for each in written] == [False] * len(written)


def test_a_task_whose_worker_is_killed_is_retried_and_scores_nothing_twice(
    live_url: str, tmp_path: Path, reviews: list[dict[str, str]]
) -> None:
    rows, run = rows_of(reviews), f"reviews-{uuid.uuid4()}"
    with Sentiq(live_url) as client:
        scored, logged = drive(live_url, tmp_path, rows, run=run)
        assert (tmp_path / "killed").exists()
        assert "Lost task" in logged
        assert_scored(scored, rows, client)
        jobs = list(client.jobs(metadata={"spark": run}))
        assert len(jobs) == FRAMES
        assert sum(job.counts.total for job in jobs) == len(rows) - 1
