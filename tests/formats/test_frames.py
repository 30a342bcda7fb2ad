"""Verdicts as columns of pandas frames, with the real service."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentiq import Sentiq, score_frame

from local.stack import Stack

GOOD, BAD = "服务很贴心", "这家餐厅太难吃了"


@pytest.fixture(scope="module")
def client(live: Stack) -> Iterator[Sentiq]:
    with Sentiq(live.url) as made:
        yield made


def test_verdicts_stand_beside_their_texts_and_missing_ones_stay_empty(client: Sentiq) -> None:
    frame = pd.DataFrame(
        {"评论": [GOOD, None, BAD, float("nan"), " "], "shop": [1, 2, 3, 4, 5]}, index=[9, 9, "x", 1, 0]
    )
    before = frame.copy()
    scored = client.score_frame(frame, "评论")
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(scored[["评论", "shop"]], before)
    assert scored["label"].tolist()[::2][:2] == ["positive", "negative"]
    assert scored["label"].isna().tolist() == [False, True, False, True, True]
    assert scored["confidence"].isna().tolist() == scored["score"].isna().tolist()
    assert scored["confidence"].dtype == scored["score"].dtype == "float64"
    assert scored["confidence"].iloc[0] == client.score(GOOD).confidence


def test_a_frame_with_a_key_is_one_job_whose_verdicts_come_again(client: Sentiq) -> None:
    frame = pd.DataFrame({"text": [GOOD, None, BAD, " "]}, index=[3, 1, 3, 0])
    key = f"frame-{uuid.uuid4()}"
    first, again = (
        client.score_frame(frame, "text", idempotency_key=key, metadata={"frame": key}) for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, client.score_frame(frame, "text"))
    pd.testing.assert_frame_equal(again, first)
    assert [job.counts.total for job in client.jobs(metadata={"frame": key})] == [3]
    empty = frame.assign(text=None)
    assert client.score_frame(empty, "text", idempotency_key=key)["label"].isna().all()


def test_names_are_the_callers_and_a_taken_one_gets_a_prefix(client: Sentiq) -> None:
    frame = pd.DataFrame({"text": [GOOD], "label": ["mine"]})
    scored = score_frame(client, frame, "text", confidence="sure", explain=True)
    assert list(scored.columns) == ["text", "label", "sentiq_label", "sure", "score"]
    assert (scored["label"][0], scored["sentiq_label"][0]) == ("mine", "positive")
    with pytest.raises(ValueError, match="'label' and 'sentiq_label'"):
        client.score_frame(frame.assign(sentiq_label=1), "text")


def test_what_is_no_column_of_texts_is_refused(client: Sentiq) -> None:
    frame = pd.DataFrame([[GOOD, BAD, 5]], columns=["a", "a", "n"])
    with pytest.raises(KeyError, match="no column 'b'"):
        client.score_frame(frame, "b")
    with pytest.raises(ValueError, match="several columns 'a'"):
        client.score_frame(frame, "a")
    with pytest.raises(TypeError, match="not int"):
        client.score_frame(frame.astype({"n": object}), "n")


def test_a_frame_without_texts_is_as_it_was(client: Sentiq) -> None:
    for frame in (pd.DataFrame({"text": pd.Series([], dtype=object)}), pd.DataFrame({"text": [None, None]})):
        scored = client.score_frame(frame, "text")
        assert len(scored) == len(frame)
        assert scored["label"].isna().all()


cells = st.one_of(st.none(), st.text("好坏 a1，！", max_size=20), st.sampled_from([GOOD, BAD]))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(cells, max_size=12), data=st.data())
def test_any_frame_keeps_its_rows(client: Sentiq, texts: list[str | None], data: st.DataObject) -> None:
    index = data.draw(st.lists(st.integers(0, 3), min_size=len(texts), max_size=len(texts)))
    frame = pd.DataFrame({"text": pd.Series(texts, index=index, dtype=object)})
    scored = client.score_frame(frame, "text")
    pd.testing.assert_frame_equal(scored[["text"]], frame)
    for text, label in zip(texts, scored["label"], strict=True):
        assert pd.isna(label) == (text is None or not text.strip())
        if text in (GOOD, BAD):
            assert label == ("positive" if text == GOOD else "negative")


@pytest.mark.parametrize("dtype", ["string", "string[pyarrow]", "category", object])
def test_texts_of_every_type_are_scored(client: Sentiq, dtype: str) -> None:
    frame = pd.DataFrame({"text": pd.Series([GOOD, None, BAD], dtype=dtype)})
    assert client.score_frame(frame, "text")["label"].fillna("").tolist() == ["positive", "", "negative"]


def test_tables_go_through_files(client: Sentiq, tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": [GOOD, BAD, None], "day": pd.to_datetime(["2026-11-27"] * 3)})
    frame.to_parquet(tmp_path / "in.parquet")
    frame.to_excel(tmp_path / "in.xlsx", index=False)
    for given_frame in (pd.read_parquet(tmp_path / "in.parquet"), pd.read_excel(tmp_path / "in.xlsx")):
        scored = client.score_frame(given_frame, "text")
        scored.to_parquet(tmp_path / "out.parquet")
        scored.to_excel(tmp_path / "out.xlsx", index=False)
        for back in (pd.read_parquet(tmp_path / "out.parquet"), pd.read_excel(tmp_path / "out.xlsx")):
            assert back["label"].fillna("").tolist() == ["positive", "negative", ""]
            assert back["confidence"].iloc[0] == pytest.approx(scored["confidence"].iloc[0])


def test_results_are_read_as_a_frame(client: Sentiq) -> None:
    table = pd.DataFrame({"text": [GOOD, BAD] * 1200, "shop": range(2400)}).to_csv(index=False)
    job = client.upload(table.encode(), content_type="text/csv").wait(timeout=100)
    rows = pd.read_csv(io.BytesIO(b"".join(job.results_csv())))
    assert rows["shop"].tolist() == list(range(2400))
    assert rows["label"].tolist() == ["positive", "negative"] * 1200
    items = pd.DataFrame(job.raw_results())
    assert items["label"].tolist() == rows["label"].tolist()
