"""`training.sample --job` chooses from the texts of finished jobs, if these kept them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sentiq import Sentiq

from local.ports import free_port
from tests.conftest import items_of
from training.job_texts import job_texts
from training.sample import main


def finished(http: httpx2.Client, **body: Any) -> str:
    job = http.post("/v1/jobs", json=body, headers={"prefer": "wait=30"}).json()
    assert job["counts"]["pending"] == 0
    return str(job["id"])


def test_texts_of_jobs_are_chosen_with_their_verdicts_and_data(
    http: httpx2.Client, live_url: str, tmp_path: Path
) -> None:
    items: list[dict[str, Any]] = [
        {"text": "味道不错", "id": "a", "data": {"shop": "南山店", "stars": [1], "label": "x", "id": 7}},
        {"text": "=太差了", "data": {"shop": "福田店"}},
        {"text": "  "},
    ]
    first = finished(http, items=items, keep_texts=True)
    second = finished(http, text="还行吧", keep_texts=True, probabilities="none")
    out = tmp_path / "out.csv"
    assert main(["--job", first, second, "--url", live_url, "-o", str(out)]) == 0
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = {row["text"]: row for row in csv.DictReader(file)}
    assert rows.keys() == {"味道不错", "'=太差了", "还行吧"}
    assert list(rows["还行吧"])[:4] == ["text", "label", "predicted", "confidence"]
    good = rows["味道不错"]
    assert (good["label"], good["id"], good["shop"], good["stars"]) == ("", "a", "南山店", "[1]")
    assert (good["own_label"], good["own_id"]) == ("x", "7")
    with Sentiq(live_url) as client:
        assert [each.margin for each in job_texts(client, second)] == [None], "no probabilities were named"
        for item in [*items_of(client, first), *items_of(client, second)]:
            if item.get("label"):
                row = rows[item["text"].replace("=", "'=")]
                assert row["predicted"] == item["label"]
                assert float(row["confidence"]) == pytest.approx(item["confidence"], abs=1e-4)


def test_texts_that_are_gone_and_jobs_that_are_unknown_are_named(
    http: httpx2.Client, live_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = finished(http, text="留不留")
    out = tmp_path / "out.csv"
    assert main(["--job", gone, "--url", live_url, "-o", str(out)]) == 1
    said = capsys.readouterr().err
    assert f"{gone}: its texts are gone, because it was submitted without keep_texts" in said
    assert main(["--job", "job_none", "--url", live_url, "-o", str(out)]) == 1
    assert "job_none: the service answers 404" in capsys.readouterr().err
    assert main(["--job", gone, "--url", f"http://localhost:{free_port()}", "-o", str(out)]) == 1
    assert f"{gone}: the service does not answer" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
