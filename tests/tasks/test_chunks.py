from __future__ import annotations

import random
from dataclasses import replace

import pytest

from api.intake.submission import cut
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.codec import decode_chunk, decode_results, encode_chunk, encode_results
from tasks.vocabulary.items import Item, ItemError, ItemStatus, Outcome
from tasks.vocabulary.labels import NEGATIVE_POSITIVE, LabelSet
from tasks.vocabulary.options import PLAIN, OnLongText, Options
from tasks.vocabulary.verdicts import Highlight, Sentence, TooManyTokens
from tests.verdicts import rated

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
HIGHLIGHTS = [Highlight(2, 5, -0.75), Highlight(5, 8, 0.25)]


def two_labels(_: str | None) -> LabelSet:
    return NEGATIVE_POSITIVE


def test_a_chunk_reads_as_it_was_written() -> None:
    assert decode_chunk("job_x", 7, encode_chunk(CHUNK)) == CHUNK


def test_chinese_is_written_as_utf8() -> None:
    assert "这家餐厅太难吃了".encode() in encode_chunk(CHUNK)


def test_a_text_that_cannot_be_scored_is_not_kept() -> None:
    assert [item.error for item in CHUNK.items] == [None, ItemError.EMPTY_TEXT, ItemError.TEXT_TOO_LONG, None]
    assert "长" not in encode_chunk(CHUNK).decode()


def test_results_read_as_they_were_written_without_the_texts() -> None:
    verdict = rated(0.123456789, 12, 15)
    outcomes: list[Outcome] = [verdict, ItemError.EMPTY_TEXT, ItemError.TEXT_TOO_LONG, ItemError.WORKER_LOST]
    payload = encode_results(ChunkResult(CHUNK, outcomes, 2))
    assert "餐厅" not in payload.decode()
    items = list(decode_results(7, payload, two_labels))
    assert [item.index for item in items] == [7, 8, 9, 10]
    assert [item.id for item in items] == ["a", None, "c", None]
    assert [item.chars for item in items] == [8, 2, 21, 5]
    assert items[0].outcome == rated(0.123457, 12, 15)
    assert [item.outcome for item in items[1:]] == outcomes[1:]
    assert {item.attempts for item in items} == {2}


def test_items_name_the_model_that_gave_their_verdicts_where_it_is_known() -> None:
    outcomes: list[Outcome] = [rated(0.25, 9, 9)] * len(CHUNK.items)
    named = encode_results(ChunkResult(CHUNK, outcomes, 1, "owner/name@v1"))
    assert {item.model for item in decode_results(0, named, two_labels)} == {"owner/name@v1"}
    unnamed = encode_results(ChunkResult(CHUNK, outcomes, 1))
    assert {item.model for item in decode_results(0, unnamed, two_labels)} == {None}


def test_what_options_add_reads_as_it_was_written() -> None:
    part = rated(0.25, 4, 4, uncertain=True)
    outcomes: list[Outcome] = [
        rated(0.5, 9, 9, uncertain=True),
        rated(0.5, 9, 9, sentences=[Sentence(0, 4, part), Sentence(4, 8, rated(0.9, 3, 7))]),
        rated(0.5, 9, 9, highlights=[]),
        rated(0.5, 9, 9, uncertain=True, sentences=[], highlights=HIGHLIGHTS),
    ]
    payload = encode_results(ChunkResult(CHUNK, outcomes, 1))
    assert [item.outcome for item in decode_results(7, payload, two_labels)] == outcomes


def test_a_text_that_was_rejected_for_its_tokens_keeps_their_number() -> None:
    chunk = Chunk("job_x", 0, CHUNK.items[:1])
    payload = encode_results(ChunkResult(chunk, [TooManyTokens(300, 256)], 1))
    (item,) = decode_results(0, payload, two_labels)
    assert (item.outcome, item.status) == (TooManyTokens(300, 256), ItemStatus.FAILED)


def test_a_plain_verdict_is_three_numbers_and_a_plain_chunk_names_no_options() -> None:
    payload = encode_results(ChunkResult(Chunk("job_x", 0, CHUNK.items[:1]), [rated(0.25, 9, 9)], 1))
    assert b'"items":[[8,0.25,9,0]]' in payload
    assert b"options" not in encode_chunk(CHUNK)


@pytest.mark.parametrize("unfamiliar", [None, False, True])
def test_a_verdict_keeps_whether_its_text_is_unfamiliar(*, unfamiliar: bool | None) -> None:
    part = Sentence(0, 4, rated(0.25, 4, 4, unfamiliar=unfamiliar))
    plain = rated(0.25, 9, 9, unfamiliar=unfamiliar)
    outcomes: list[Outcome] = [plain, ItemError.EMPTY_TEXT, rated(0.5, 9, 9, unfamiliar=False)]
    if unfamiliar is None:
        outcomes[2] = plain
    outcomes.append(replace(plain, sentences=[part]))
    payload = encode_results(ChunkResult(CHUNK, outcomes, 1))
    assert [item.outcome for item in decode_results(7, payload, two_labels)] == outcomes
    assert (b"[8,0.25,9,0]" in payload) == (not unfamiliar), "only an unfamiliar text takes room"
    assert (b'"seen"' in payload) == (unfamiliar is not None)


@pytest.mark.parametrize(
    "options", [PLAIN, Options(OnLongText.WINDOW), Options(OnLongText.REJECT, sentences=True, explain=True)]
)
def test_a_chunk_and_its_parts_carry_the_options(options: Options) -> None:
    chunk = Chunk("job_x", 7, CHUNK.items, options)
    read = decode_chunk("job_x", 7, encode_chunk(chunk))
    assert read == chunk
    assert read.options.on_long_text is options.on_long_text
    assert {part.options for part in chunk.split()} == {options}
    assert encode_chunk(read) == encode_chunk(chunk), "the reconciler compares them"


def test_what_asks_for_more_costs_more_so_that_fewer_are_leased_together() -> None:
    plain, sentences, explain = (
        options.cost("屏幕好，" * 12) for options in (PLAIN, Options(sentences=True), Options(explain=True))
    )
    assert plain == 48 < sentences < explain
    items = [Item.accept("屏幕好，" * 10, 99)] * 40
    chunks = list(cut("job_x", items, 64, 2000, Options(explain=True)))
    assert 1 < len(chunks) < 40
    assert all(chunk.cost <= 2000 for chunk in chunks)


def test_every_item_has_a_cost_whether_or_not_it_can_be_scored() -> None:
    options = [PLAIN, Options(OnLongText.WINDOW, sentences=True, explain=True)]
    assert min(each.cost(text) for each in options for text in ("", "\x00")) >= 1
    unscorable = [
        Item.accept(" ", 99),
        Item.accept("长" * 100, 99),
        Item("", 0, None, ItemError.INVALID_LINE),
    ]
    assert Chunk("job_x", 0, unscorable).cost == 3


def test_a_part_of_a_chunk_costs_the_same_after_it_was_stored() -> None:
    items = [Item.accept("好，" * 500, 9999)] * 3
    chunk = Chunk("job_x", 0, items, Options(OnLongText.WINDOW), max_tokens=64)
    read = decode_chunk("job_x", 0, encode_chunk(chunk))
    assert sum(part.cost for part in read.split()) == read.cost == chunk.cost
    assert chunk.cost != replace(chunk, max_tokens=512).cost


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
        assert all(len(c.items) <= 16 and (c.cost <= 300 or len(c.items) == 1) for c in chunks)
