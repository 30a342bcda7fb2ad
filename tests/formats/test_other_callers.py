"""Callers without the package: curl as the documents call it, and Java with the JDK's own client."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest
from sentiq import Sentiq

from local.processes import ROOT
from tests.client.proxy import Plan, proxied

GOOD, BAD = "服务很贴心", "这家餐厅太难吃了"
JOBS = (ROOT / "docs" / "jobs.md").read_text("utf-8")
CLIENT = (ROOT / "docs" / "client.md").read_text("utf-8")


def call_with(marker: str) -> str:
    """Return the shell example of docs/jobs.md that holds the marker."""
    examples: list[str] = re.findall(r"^```sh\n(.*?)^```", JOBS, re.DOTALL | re.MULTILINE)
    (found,) = [each for each in examples if marker in each]
    return found


def run(command: str, url: str, folder: Path, **names: str) -> bytes:
    """Run a documented command line against a service."""
    for name, value in {"localhost:8000": url.removeprefix("http://"), **names}.items():
        command = command.replace(name, value)
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    words = ["/bin/bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module", autouse=True)
def _curl() -> None:
    if not shutil.which("curl"):
        pytest.skip("no curl")


def test_lines_are_uploaded_with_gzip_and_followed(live_url: str, tmp_path: Path) -> None:
    job = json.loads(run(call_with("| gzip | curl"), live_url, tmp_path))
    followed = run(call_with("results?follow=true"), live_url, tmp_path, **{"{id}": job["id"]})
    *items, end = [json.loads(line) for line in followed.splitlines() if line]
    assert sorted((item["id"] or "", item["label"]) for item in items) == [
        ("", "positive"),
        ("r2", "negative"),
    ]
    assert (end["object"], end["complete"]) == ("end", True)


def test_curl_unpacks_compressed_results(live_url: str, client: Sentiq, tmp_path: Path) -> None:
    job = client.submit([GOOD, BAD] * 200).wait(timeout=60)
    path = f"curl -s localhost:8000/v1/jobs/{job.id}/results -H 'accept: text/csv'"
    plain = run(path, live_url, tmp_path)
    assert run(f"{path} --compressed", live_url, tmp_path) == plain
    packed = run(f"{path} -H 'accept-encoding: gzip'", live_url, tmp_path)
    assert gzip.decompress(packed) == plain


def test_rows_of_another_charset_are_uploaded(live_url: str, client: Sentiq, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text(f"评论,门店\n{GOOD},南山店\n{BAD},福田店\n", encoding="gb18030")
    job = json.loads(run(call_with("charset=gb18030"), live_url, tmp_path))
    assert job.get("id"), job
    done = client.job(job["id"]).wait(timeout=60)
    assert [group["value"] for group in done.summary(by="门店")["groups"]] == ["南山店", "福田店"]
    by_column = call_with("bom=true").replace("data.shop", f"data.{quote('门店')}")
    columns = run(by_column, live_url, tmp_path, **{"{id}": job["id"]})
    rows = list(csv.reader(io.StringIO(columns.decode("utf-8-sig"))))
    assert [(row[1], row[3]) for row in rows] == [
        ("label", "data.门店"),
        ("positive", "南山店"),
        ("negative", "福田店"),
    ]


def test_an_upload_is_resumed(live_url: str, client: Sentiq, tmp_path: Path) -> None:
    """The documented call sends the rest of a file behind the items that are recorded."""
    lines = "".join(
        json.dumps(f"第{number}次来，{GOOD}", ensure_ascii=False) + "\n" for number in range(5000)
    )
    (tmp_path / "reviews.ndjson").write_text(lines, "utf-8")
    key = f"reviews-{os.urandom(8).hex()}"
    first = (
        "curl -s --data-binary @reviews.ndjson localhost:8000/v1/jobs "
        f"-H 'content-type: application/x-ndjson' -H 'idempotency-key: {key}' || true"
    )
    with proxied(live_url, Plan(cut_up=150_000)) as proxy:
        run(first, proxy.url, tmp_path)
    recorded = client.recorded(key)
    assert 0 < recorded < 5000
    names = {"600001": str(recorded + 1), "600000": str(recorded), "reviews-7": key}
    job = json.loads(run(call_with("from_index=600000"), live_url, tmp_path, **names))
    assert job["counts"]["total"] == 5000
    client.job(job["id"]).delete()


def test_java_uploads_rows_and_reads_them_back(live_url: str, tmp_path: Path) -> None:
    if not shutil.which("javac"):
        pytest.skip("no JDK")
    (source,) = re.findall(r"^```java\n(.*?)^```", CLIENT, re.DOTALL | re.MULTILINE)
    (tmp_path / "Score.java").write_text(source, "utf-8")
    (tmp_path / "reviews.csv").write_text(f"id,review\n1,{GOOD}\n2,{BAD}\n", "utf-8")
    command = f"javac Score.java && java -Dfile.encoding=UTF-8 Score {live_url} reviews.csv"
    rows = list(csv.DictReader(io.StringIO(run(command, live_url, tmp_path).decode())))
    assert [(row["id"], row["label"]) for row in rows] == [("1", "positive"), ("2", "negative")]
