"""A text with aspects: the rows that the model reads, their segments, and the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from local.processes import ROOT
from tasks.store.counters import code_points_read
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.codec import decode_chunk, decode_results, encode_chunk, encode_results
from tasks.vocabulary.items import Item, ItemError, ItemStatus
from tasks.vocabulary.options import MAX_ASPECT_CHARS, MAX_ASPECTS, OnLongText, Options
from tasks.vocabulary.verdicts import AspectVerdicts, TooManyTokens, Verdict
from tests.verdicts import THREE, of
from worker.engines.engine import Tokens
from worker.packs.pack import load_pack
from worker.scoring.classifier import Classifier
from worker.scoring.question import Question

EMBEDDED = load_pack(ROOT / "models" / "embedded")
PAIRS = replace(EMBEDDED, labels=THREE, input="pair")
WORDS = ("口味", "服务", "价格")
TEXT = "味道很好，就是太贵了。"


class Reading:
    """An engine whose logits depend on ids and segments; it keeps each row with its segments."""

    def __init__(self) -> None:
        self.read: list[tuple[list[int], list[int]]] = []

    def logits(self, ids: Tokens, mask: Tokens, segments: Tokens | None = None) -> NDArray[np.float32]:
        assert segments is not None
        for row, length, kinds in zip(ids, mask.sum(1), segments, strict=True):
            if length:
                self.read.append((row[:length].tolist(), kinds[:length].tolist()))
            assert not kinds[length:].any()
        first = (ids * (1 - segments)).sum(1) % 7
        return np.stack([first, (ids * segments).sum(1) % 5, 3 * np.ones(len(ids))], 1).astype(np.float32)


def classifier(engine: Reading, max_tokens: int = 256, cache_rows: int = 0) -> Classifier:
    pack = replace(PAIRS, max_tokens=max_tokens)
    return Classifier(pack, engine, batch_tokens=1024, cache_rows=cache_rows)


def ask(scorer: Classifier, text: str, options: Options) -> AspectVerdicts:
    (outcome,) = scorer.answer([Question(text, options)])
    assert isinstance(outcome, AspectVerdicts)
    return outcome


def ids(scorer: Classifier, text: str) -> list[int]:
    return [int(each) for each in scorer.tokenize([text])[0].ids[1:-1]]


def parts(row: Sequence[int], kinds: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the tokens of both parts of a row; each ends in [SEP], and [CLS] begins the first."""
    split = kinds.index(1)
    assert (list(kinds[:split]), list(kinds[split:])) == ([0] * split, [1] * (len(row) - split))
    assert row[split - 1] == row[-1]
    return list(row[1 : split - 1]), list(row[split:-1])


def test_each_aspect_comes_first_and_the_text_second() -> None:
    engine = Reading()
    scorer = classifier(engine)
    answer = ask(scorer, TEXT, Options(aspects=WORDS))
    read = [parts(*row) for row in engine.read]
    assert sorted(read) == sorted((ids(scorer, word), ids(scorer, TEXT)) for word in WORDS)
    assert [aspect for aspect, _ in answer.aspects] == list(WORDS)
    assert {verdict.text_tokens for verdict in answer.verdicts} == {len(ids(scorer, TEXT)) + 2}
    assert not answer.truncated


def test_an_aspect_gets_the_same_verdict_alone_and_beside_others() -> None:
    scorer = classifier(Reading())
    together = dict(ask(scorer, TEXT, Options(aspects=WORDS)).aspects)
    for word in WORDS:
        assert ask(scorer, TEXT, Options(aspects=(word,))).aspects == [(word, together[word])]


def test_the_order_of_the_parts_is_part_of_what_is_cached() -> None:
    engine = Reading()
    scorer = classifier(engine, cache_rows=100)
    first = ask(scorer, "服务", Options(aspects=("口味",)))
    swapped = ask(scorer, "口味", Options(aspects=("服务",)))
    assert len(engine.read) == 2
    assert not swapped.cached
    assert first.aspects[0][1].kept != swapped.aspects[0][1].kept
    assert ask(scorer, "服务", Options(aspects=("口味",))).cached
    assert len(engine.read) == 2


def test_sep_in_a_text_or_in_an_aspect_is_plain_text() -> None:
    engine = Reading()
    scorer = classifier(engine)
    ask(scorer, "很好 [SEP] 太贵", Options(aspects=("价[SEP]格",)))
    ((row, _),) = engine.read
    assert row.count(row[-1]) == 2, "one behind each part"


@pytest.mark.parametrize("on_long_text", [OnLongText.TRUNCATE, OnLongText.WINDOW])
def test_only_the_text_is_cut_or_windowed_and_every_row_has_the_aspect(on_long_text: OnLongText) -> None:
    engine = Reading()
    scorer = classifier(engine, max_tokens=24)
    text = "".join(f"第{number}天味道很好，" for number in range(20))
    answer = ask(scorer, text, Options(on_long_text, aspects=WORDS))
    whole, covered = ids(scorer, text), set[int]()
    for row, kinds in engine.read:
        aspect, part = parts(row, kinds)
        assert aspect in [ids(scorer, word) for word in WORDS]
        assert len(row) <= 24
        start = next(i for i in range(len(whole)) if whole[i : i + len(part)] == part)
        covered |= set(range(start, start + len(part)))
    read_whole = on_long_text is OnLongText.WINDOW
    assert answer.truncated != read_whole
    assert covered == set(range(len(whole) if read_whole else 24 - 3 - 2))


def test_a_long_text_is_rejected_with_the_room_beside_its_longest_aspect() -> None:
    scorer = classifier(Reading(), max_tokens=24)
    options = Options(OnLongText.REJECT, aspects=("味", "服务态度"))
    assert scorer.answer([Question("好" * 18, options)]) == [TooManyTokens(20, 19)]
    assert isinstance(scorer.answer([Question("好" * 17, options)])[0], AspectVerdicts)


def test_an_aspect_leaves_half_of_the_row_to_the_text() -> None:
    engine = Reading()
    scorer = classifier(engine, max_tokens=24)
    ask(scorer, "好" * 50, Options(aspects=("服" * MAX_ASPECT_CHARS,)))
    ((row, kinds),) = engine.read
    assert [len(part) for part in parts(row, kinds)] == [10, 11]


def test_aspects_and_packs_that_do_not_go_together_are_errors_of_the_item() -> None:
    assert classifier(Reading()).answer([Question(TEXT)]) == [ItemError.ASPECTS_REQUIRED]

    class Plain:
        def logits(self, ids: Tokens, _mask: Tokens, _segments: Tokens | None = None) -> NDArray[np.float32]:
            return np.zeros((len(ids), 2), np.float32)

    plain = Classifier(EMBEDDED, Plain(), batch_tokens=1024)
    both = plain.answer([Question(TEXT, Options(aspects=WORDS)), Question(TEXT)])
    assert both[0] is ItemError.ASPECTS_UNSUPPORTED
    assert isinstance(both[1], Verdict)


@pytest.mark.parametrize("on_long_text", [OnLongText.TRUNCATE, OnLongText.WINDOW])
@pytest.mark.parametrize("text", [TEXT, "".join(f"{number}号" for number in range(500)), "a", "味道" * 130])
def test_the_cost_bounds_what_the_model_reads(text: str, on_long_text: OnLongText) -> None:
    engine = Reading()
    words = tuple(f"方面{number}号" for number in range(MAX_ASPECTS))
    options = Options(on_long_text, aspects=words)
    ask(classifier(engine), text, options)
    read = sum(len(row) - 3 for row, _ in engine.read)
    assert read <= options.cost(text, 256) <= 2 * read + 200
    assert code_points_read({"batch_tokens:sum": read}) <= options.cost(text, 256) or not read


def test_results_name_the_aspects_and_keep_their_verdicts_as_numbers() -> None:
    items = [Item.accept("好", 9), Item.accept("坏", 9)._replace(aspects=("环境",))]
    chunk = Chunk("job_x", 0, items, Options(aspects=WORDS))
    assert decode_chunk("job_x", 0, encode_chunk(chunk)) == chunk
    good, bad = of(THREE, 0.75, 0.25, 0.0), of(THREE, 0.0, 0.25, 0.75)
    answers = [
        AspectVerdicts([(word, good) for word in WORDS], cached=True),
        AspectVerdicts([("环境", bad)]),
    ]
    result = ChunkResult(chunk, answers, 1, "x@1")
    assert (result.counts.succeeded, result.computed) == (2, 1)
    verdicts = {name: count for name, count in result.counters.items() if name.startswith("verdicts:")}
    assert verdicts == {"verdicts:positive": 3, "verdicts:negative": 1}
    payload = encode_results(result)
    read = list(decode_results(0, payload, lambda _: THREE))
    assert [item.outcome for item in read] == answers
    assert {item.status for item in read} == {ItemStatus.SUCCEEDED}
    assert payload.decode().count("口味") == 1, "once a chunk"


def test_what_an_item_costs_counts_every_pair() -> None:
    one = Chunk("job_x", 0, [Item.accept(TEXT, 99)], Options(aspects=WORDS[:1]))
    three = Chunk("job_x", 0, [Item.accept(TEXT, 99)._replace(aspects=WORDS)], Options())
    assert three.cost == 3 * one.cost
