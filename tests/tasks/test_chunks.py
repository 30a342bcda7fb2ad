from __future__ import annotations

import random

import pytest

from api.submission import cut
from tasks.chunks import Chunk, ChunkResult, read_results
from tasks.jobs import Item, ItemError, Outcome, Verdict

CHUNK = Chunk(
    "job_x",
    7,
    [
        Item.accept("这家餐厅太难吃了", 20, "a"),
        Item.accept(" \n", 20),
        Item.accept("长" * 21, 20, "c"),
        Item.accept('𠮷"\\\u2028\x00', 20),
    ],
)


def test_a_chunk_reads_as_it_was_written() -> None:
    assert Chunk.decode("job_x", 7, CHUNK.encode()) == CHUNK


def test_chinese_is_written_as_utf8() -> None:
    assert "这家餐厅太难吃了".encode() in CHUNK.encode()


def test_a_text_that_cannot_be_scored_is_not_kept() -> None:
    assert [item.error for item in CHUNK.items] == [None, ItemError.EMPTY_TEXT, ItemError.TEXT_TOO_LONG, None]
    assert "长" not in CHUNK.encode().decode()


def test_results_read_as_they_were_written_without_the_texts() -> None:
    verdict = Verdict(0.123456789, 12, truncated=True)
    outcomes: list[Outcome] = [verdict, ItemError.EMPTY_TEXT, ItemError.TEXT_TOO_LONG, ItemError.WORKER_LOST]
    payload = ChunkResult(CHUNK, outcomes, 2).encode()
    assert "餐厅" not in payload.decode()
    items = list(read_results(7, payload))
    assert [item.index for item in items] == [7, 8, 9, 10]
    assert [item.id for item in items] == ["a", None, "c", None]
    assert [item.chars for item in items] == [8, 2, 21, 5]
    assert items[0].outcome == Verdict(0.123457, 12, truncated=True)
    assert [item.outcome for item in items[1:]] == outcomes[1:]
    assert {item.attempts for item in items} == {2}


def test_results_must_match_their_items_one_to_one() -> None:
    with pytest.raises(ValueError, match="1 outcomes for 4 items"):
        ChunkResult(CHUNK, [ItemError.WORKER_LOST], 1)


def test_splitting_keeps_every_item_at_its_index() -> None:
    parts = CHUNK.split()
    assert [part.start for part in parts] == [7, 8, 9, 10]
    assert [item for part in parts for item in part.items] == CHUNK.items


def test_cutting_loses_nothing_and_keeps_within_the_limits() -> None:
    rng = random.Random(1)
    for _ in range(200):
        texts = ["字" * rng.choice((1, 5, 30, 99, 400)) for _ in range(rng.randint(1, 120))]
        items = [Item.accept(text, 10_000) for text in texts]
        chunks = list(cut("job_x", items, 16, 300))
        assert [item for chunk in chunks for item in chunk.items] == items
        assert [chunk.start for chunk in chunks] == [
            sum(len(c.items) for c in chunks[:i]) for i in range(len(chunks))
        ]
        assert all(len(c.items) <= 16 and (c.chars <= 300 or len(c.items) == 1) for c in chunks)
