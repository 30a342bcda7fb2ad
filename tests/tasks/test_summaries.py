"""The summary of a job against its results, whatever writes the outcomes, and whatever is repeated."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest

from api.intake.grouping import MAX_VALUE_CHARS, MAX_VALUES, Grouping
from tasks.store import cancel, leases, uploads
from tasks.store.jobs import JobStore
from tasks.store.keys import OPEN_JOBS, job_key
from tasks.store.leases import Lease
from tasks.store.reconciler import Reconciler
from tasks.store.retry import retry_terms, retryable_items
from tasks.store.scripts import LUA, source
from tasks.store.summaries import Summary, read_summary, read_values
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item, ItemError, ItemResult, Outcome
from tasks.vocabulary.jobs import QueueClass, Terms
from tasks.vocabulary.labels import NEGATIVE_POSITIVE, Label, LabelSet
from tasks.vocabulary.options import Options
from tasks.vocabulary.tallies import BINS, OTHER, Tally, read_tally
from tasks.vocabulary.verdicts import AspectVerdicts, TooManyTokens, Verdict
from tests.conftest import MODEL_NAME
from tests.verdicts import rated

BULK = QueueClass.BULK
MOODS = LabelSet(
    (Label("joy", "喜悦", "Joy"), Label("anger", "愤怒", "Anger"), Label("other", "其他", "Other"))
)
FEED = Feed.begin("5eed", resumable=False)
CHILD = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)
MODEL = {"id": "test", "revision": "1", "engine": "none"}


@pytest.fixture
def store(store: JobStore) -> JobStore:
    for model in ("test@1", "test@2"):
        store.labels.record(model, NEGATIVE_POSITIVE)
    return store


def items_of(groups: list[int]) -> list[Item]:
    return [Item.accept("好", 9)._replace(group=group) for group in groups]


def outcome(rng: random.Random) -> Outcome:
    probability = rng.choice([rng.random(), 0.5, 0.65, 0.9999999, 0.35, 0.6499996])
    verdict = rated(probability, rng.choice([5, 9]), 9, uncertain=rng.random() < 0.2)
    outcomes: list[Outcome] = [verdict, TooManyTokens(300, 256), ItemError.INFERENCE_FAILED]
    return rng.choices(outcomes, [8, 1, 1])[0]


def recount(results: list[tuple[ItemResult, int]]) -> dict[int, Tally]:
    """Count results by group in the plainest way."""
    tallies: dict[int, Tally] = {}
    for item, group in results:
        tally = tallies.setdefault(group, Tally())
        tally.items += 1
        if not isinstance(item.outcome, Verdict):
            tally.errors += 1
            continue
        tally.uncertain += item.outcome.uncertain
        tally.truncated += item.outcome.truncated
        tally.scores = (tally.scores or 0) + (item.outcome.score or 0)
        tally.confidence[min(int(round(item.outcome.confidence, 6) * BINS), BINS - 1)] += 1
        tally.labels.update({label: tally.labels.get(label, 0) for label in NEGATIVE_POSITIVE.ids})
        tally.labels[item.outcome.label] += 1
    return tallies


def same(one: Tally, other: Tally) -> bool:
    numbers = [(each.items, each.errors, each.uncertain, each.truncated) for each in (one, other)]
    exact = numbers[0] == numbers[1] and one.labels == other.labels and one.confidence == other.confidence
    return exact and one.scores == pytest.approx(other.scores, abs=1e-6 * max(1, one.items))


def test_the_bins_of_confidence_begin_at_their_lower_bound() -> None:
    for step in range(BINS):
        assert int(round(step / BINS, 6) * BINS) == step


@pytest.mark.parametrize("seed", range(3))
def test_a_summary_is_a_recount_of_the_results(store: JobStore, seed: int) -> None:
    rng = random.Random(seed)
    job_id, groups = store.ids.issue(""), [rng.randint(0, 4) for _ in range(120)]
    chunks = [Chunk(job_id, start, items_of(groups[start : start + 12])) for start in range(0, 120, 12)]
    values = [(1, '"甲"'), (2, "2.5"), (3, "true"), (4, '""')]
    store.create(job_id, Terms(queue_class=BULK, summarize_by="shop"), chunks, groups=values)
    while held := leases.lease(store, CHILD, 12):
        results = [
            ChunkResult(leased.chunk, [outcome(rng) for _ in leased.chunk.items], 1, "test@1")
            for leased in held.chunks
        ]
        leases.finish(store, held, results, MODEL)
    found = read_summary(store, job_id)
    items = store.results(job_id, 0, 120).items
    expected = recount(list(zip(items, groups, strict=True)))
    assert [value for value, _ in found.groups] == ["甲", 2.5, True, ""]
    for group, (_, tally) in enumerate(found.groups, start=1):
        assert same(tally, expected[group])
    assert same(found.other, expected[OTHER])
    assert same(found.total, recount([(item, 0) for item in items])[0])
    errors = Counter(item.outcome for item in items if isinstance(item.outcome, ItemError))
    too_long = sum(isinstance(item.outcome, TooManyTokens) for item in items)
    assert found.errors == {error.value: count for error, count in errors.items()} | {
        "text_too_long": too_long
    }


def record(store: JobStore, groups: list[int], **terms: Any) -> str:
    job_id = store.ids.issue("")
    given = Terms(queue_class=BULK, summarize_by="shop", **terms)
    store.create(job_id, given, [Chunk(job_id, 0, items_of(groups))], groups=[(1, '"甲"'), (2, '"乙"')])
    return job_id


def take(store: JobStore) -> Lease:
    held = leases.lease(store, CHILD, 10**9)
    assert held is not None
    return held


def finish(store: JobStore, probability: float = 0.75) -> None:
    held = take(store)
    verdict = rated(probability, 5, 5)
    results = [
        ChunkResult(each.chunk, [verdict] * len(each.chunk.items), 1, "test@1") for each in held.chunks
    ]
    leases.finish(store, held, results, MODEL)


def items_and_errors(summary: Summary) -> list[tuple[int, int]]:
    tallies = [summary.total, summary.other, *(tally for _, tally in summary.groups)]
    return [(tally.items, tally.errors) for tally in tallies]


def test_a_cancel_and_a_deadline_are_counted_where_they_belong(store: JobStore) -> None:
    for code in (ItemError.CANCELED, ItemError.DEADLINE_EXCEEDED):
        job_id = record(store, [0, 1, 1, 2])
        if code is ItemError.CANCELED:
            cancel.cancel_job(store, job_id)
        else:
            store.redis.hset(job_key(job_id), "deadline", 1)
            cancel.expire_chunks(store, job_id, code)
        found = read_summary(store, job_id)
        assert items_and_errors(found) == [(4, 4), (1, 1), (2, 2), (1, 1)]
        assert found.errors == {code: 4}
        assert found.total.mean_score is None


def test_items_that_were_nowhere_are_counted_too(store: JobStore) -> None:
    job_id = record(store, [1, 2])
    store.redis.hset(job_key(job_id), "deadline", 1)
    store.redis.zadd(OPEN_JOBS, {job_id: 1})
    store.redis.delete(job_key(job_id, "chunks"))
    Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[])
    found = read_summary(store, job_id)
    assert (found.total.items, found.errors) == (2, {"deadline_exceeded": 2})


def test_a_chunk_that_is_requeued_item_by_item_keeps_the_groups(store: JobStore) -> None:
    job_id = record(store, [2, 0, 1, 1])
    take(store)
    Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[])  # the child that holds it is dead
    assert read_summary(store, job_id).total.items == 0
    for _ in range(4):
        finish(store)
    assert items_and_errors(read_summary(store, job_id)) == [(4, 0), (1, 0), (2, 0), (1, 0)]


def test_outcomes_that_come_late_or_twice_are_not_counted(store: JobStore) -> None:
    job_id = record(store, [1, 2])
    held = take(store)
    results = [ChunkResult(held.chunks[0].chunk, [rated(0.75, 5, 5)] * 2, 1, "test@1")]
    assert leases.finish(store, held, results, MODEL) == 1
    counted = store.redis.hgetall(job_key(job_id, "summary"))
    assert leases.finish(store, held, results, MODEL) == 1, "as if the answer had been lost"
    worse = [ChunkResult(held.chunks[0].chunk, [rated(0.25, 5, 5)] * 2, 1, "test@1")]
    assert leases.finish(store, held, worse, MODEL) == 0
    assert store.redis.hgetall(job_key(job_id, "summary")) == counted


def test_verdicts_of_two_models_are_counted_together(store: JobStore) -> None:
    job_id = store.ids.issue("")
    store.create(job_id, Terms(queue_class=BULK), [Chunk(job_id, i, items_of([0])) for i in range(2)])
    for model, probability in (("test@1", 0.9), ("test@2", 0.2)):
        held = leases.lease(store, CHILD, 1)
        assert held is not None
        result = ChunkResult(held.chunks[0].chunk, [rated(probability, 5, 5)], 1, model)
        leases.finish(store, held, [result], MODEL)
    found = read_summary(store, job_id)
    assert found.total.labels == dict.fromkeys(NEGATIVE_POSITIVE.ids, 1)
    assert found.total.mean_score == pytest.approx(0.1)


def aspects_of(items: Sequence[ItemResult]) -> dict[str, Tally]:
    """Count the verdicts on each aspect in the plainest way, each as an item."""
    verdicts = defaultdict[str, list[tuple[ItemResult, int]]](list)
    for item in items:
        if isinstance(item.outcome, AspectVerdicts):
            for aspect, verdict in item.outcome.aspects:
                verdicts[aspect].append((replace(item, outcome=verdict), 0))
    return {aspect: recount(given)[0] for aspect, given in verdicts.items()}


def test_a_summary_counts_the_verdicts_on_each_aspect(store: JobStore) -> None:
    rng, job_id, of_job = random.Random(4), store.ids.issue(""), ("口味", "服务 好坏")
    items = [
        item._replace(aspects=rng.choice([(), (), ("环境", "口味"), ("价格",)]))
        for item in items_of([0] * 80)
    ]
    options = Options(aspects=of_job)
    chunks = [Chunk(job_id, start, items[start : start + 8], options) for start in range(0, 80, 8)]
    store.create(job_id, Terms(queue_class=BULK, options=options), chunks)
    for model in ("test@1", "test@2") * 5:
        held = leases.lease(store, CHILD, 1)
        assert held is not None
        chunk = held.chunks[0].chunk
        outcomes = [on_aspects(rng, item.aspects or of_job) for item in chunk.items]
        leases.finish(store, held, [ChunkResult(chunk, outcomes, 1, model)], MODEL)
    found, expected = read_summary(store, job_id), aspects_of(store.results(job_id, 0, 80).items)
    assert {aspect for aspect, _ in found.aspects} == {"口味", "服务 好坏", "环境", "价格"} == expected.keys()
    for aspect, tally in found.aspects:
        assert same(tally, expected[aspect]), aspect
    assert (found.total.items, found.other_aspects.items) == (80, 0)


def on_aspects(rng: random.Random, aspects: Sequence[str]) -> Outcome:
    if rng.random() < 0.1:
        return ItemError.INFERENCE_FAILED
    rated_each = [(aspect, rated(rng.random(), 9, 9, uncertain=rng.random() < 0.2)) for aspect in aspects]
    return AspectVerdicts(rated_each)


def test_aspects_of_single_items_beyond_the_first_are_counted_together(store: JobStore) -> None:
    job_id, options = store.ids.issue(""), Options(aspects=("口味", "第1个"))
    own = [tuple(f"第{number}个" for number in range(first, first + 16)) for first in range(0, 80, 16)]
    items = [item._replace(aspects=each) for item, each in zip(items_of([0] * 6), [*own, ()], strict=True)]
    store.create(job_id, Terms(queue_class=BULK, options=options), [Chunk(job_id, 0, items, options)])
    held = take(store)
    outcomes: list[Outcome] = [
        AspectVerdicts([(aspect, rated(0.9, 9, 9)) for aspect in each]) for each in [*own, options.aspects]
    ]
    leases.finish(store, held, [ChunkResult(held.chunks[0].chunk, outcomes, 1, "test@1")], MODEL)
    found = read_summary(store, job_id)
    named = [f"第{number}个" for number in range(64)]
    assert [(aspect, tally.items) for aspect, tally in found.aspects] == [
        (aspect, 2 if aspect == "第1个" else 1) for aspect in [*named, "口味"]
    ]
    assert (found.other_aspects.items, found.other_aspects.labels) == (16, {"negative": 0, "positive": 16})
    fields = store.redis.hgetall(job_key(job_id, "summary"))
    tallies = {name: value for name, value in fields.items() if name.startswith((b"a", b"0 "))}
    del tallies[b"aspects"]
    sizes = [
        len(name) + (0 if name.startswith(b"aspect ") else len(value)) for name, value in tallies.items()
    ]
    assert sum(sizes) == int(fields[b"bytes"])


def test_labels_without_polarity_have_no_mean_score(store: JobStore) -> None:
    store.labels.record("moods@1", MOODS)
    job_id = record(store, [1, 2, 2])
    held = take(store)
    verdicts = [Verdict(MOODS, kept, 5, 5) for kept in ({0: 0.1, 1: 0.7, 2: 0.2}, {0: 0.3, 1: 0.3, 2: 0.4})]
    outcomes: list[Outcome] = [*verdicts, ItemError.INFERENCE_FAILED]
    leases.finish(store, held, [ChunkResult(held.chunks[0].chunk, outcomes, 1, "moods@1")], MODEL)
    found = read_summary(store, job_id)
    assert found.total.labels == {"joy": 0, "anger": 1, "other": 1}
    assert found.total.mean_score is None
    assert [step for step, count in enumerate(found.total.confidence) if count] == [8, 14]
    assert [tally.labels for _, tally in found.groups] == [
        {"joy": 0, "anger": 1, "other": 0},
        {"joy": 0, "anger": 0, "other": 1},
    ]
    assert [label.label_zh for label in found.labels.values()] == ["喜悦", "愤怒", "其他"]


def test_a_summary_lives_as_long_as_the_results_and_is_erased_with_them(store: JobStore) -> None:
    job_id = record(store, [1], result_ttl_s=500)
    assert store.redis.pttl(job_key(job_id, "summary")) > 0, "from the start"
    finish(store)
    left_ms = [store.redis.pttl(job_key(job_id, part)) for part in ("", "results", "summary")]
    assert max(left_ms) - min(left_ms) < 1000
    cancel.delete_job(store, job_id, "")
    assert not store.redis.exists(job_key(job_id, "summary"))


def test_a_summary_is_charged_to_the_owner(store: JobStore) -> None:
    before = int(store.redis.hget("sentiq:kept", "") or 0)
    job_id = record(store, [1, 2])
    charged = int(store.redis.hget("sentiq:kept", "")) - before
    chunk = store.redis.hstrlen(job_key(job_id, "chunks"), 0)
    fields = sum(len(name) + len(value) for name, value in Terms(summarize_by="shop").encode().items())
    assert charged == 1500 + 200 + chunk + fields + len('"甲""乙"'.encode())
    finish(store)
    results = store.redis.hstrlen(job_key(job_id, "results"), 0)
    summary = int(store.redis.hget(job_key(job_id, "summary"), "bytes"))
    assert int(store.redis.hget("sentiq:kept", "")) - before == charged - chunk + results + summary - 10


def test_the_largest_summary_has_less_than_a_mebibyte(store: JobStore) -> None:
    job_id = store.ids.issue("")
    values = [
        (group, json.dumps(f"{group:04}".ljust(128, "😀"), ensure_ascii=False)) for group in range(1, 1001)
    ]
    store.create(
        job_id, Terms(queue_class=BULK, summarize_by="x"), [Chunk(job_id, 0, items_of([0]))], groups=values
    )
    numbers = [250, 10, 9, 9, -250_000_000, *[99] * (BINS + 64)]
    wide = [*chain(*enumerate(numbers, start=1))]
    for model in ("a" * 64 + "@1", "a" * 64 + "@2", "a" * 64 + "@3"):
        for start in range(0, 1001, 77):
            tallies = [(group, wide) for group in range(start, start + 77)]
            args = {"job": job_key(job_id), "model": model, "tallies": tallies}
            store.redis.eval(ADD_SUMMARY, 0, json.dumps(args))
    fields = store.redis.hgetall(job_key(job_id, "summary"))
    size = sum(len(value) for name, value in fields.items() if name != b"bytes")
    size += sum(len(name) for name in fields if name[:1].isdigit())
    assert size == int(fields[b"bytes"]) < 1024 * 1024
    items = [read_tally(value)[0] for name, value in fields.items() if name[:1].isdigit()]
    assert sum(items) == 3 * 1001 * 250, "what has no room of its own is counted as other"
    assert {b"%d %s@1" % (group, b"a" * 64) for group in range(1001)} <= fields.keys(), "one model has room"


ADD_SUMMARY = (
    source(LUA / "include" / "summary.lua") + "return summary.add(args.job, args.model, args.tallies, {})"
)


# --- the groups of values ---


def grouped(values: Sequence[str | None], field: str = "shop") -> tuple[list[int], list[tuple[int, str]]]:
    """Return the groups of items with these values, as JSON, and the new groups."""
    grouping = Grouping(field)
    items = [
        Item("好", 1, data=None if value is None else f'{{"a":1,"shop":{value}}}'.encode())
        for value in values
    ]
    return [item.group for item in grouping.number(items)], list(grouping.take())


def test_a_number_that_json_cannot_name_is_no_value() -> None:
    assert grouped(["1e999", "-1e999", "1e308", str(10**127)]) == (
        [OTHER, OTHER, 1, 2],
        [(1, "1e+308"), (2, str(10**127))],
    )


def test_values_get_groups_in_input_order() -> None:
    assert grouped(['"乙"', '"甲"', '"乙"', "1", '"1"', "true", "1.5"]) == (
        [1, 2, 1, 3, 4, 5, 6],
        [(1, '"乙"'), (2, '"甲"'), (3, "1"), (4, '"1"'), (5, "true"), (6, "1.5")],
    )


@pytest.mark.parametrize(
    "value",
    [None, "null", "[1]", '{"b":2}', f'"{"长" * (MAX_VALUE_CHARS + 1)}"', "1" + "0" * MAX_VALUE_CHARS],
)
def test_what_is_no_short_value_is_other(value: str | None) -> None:
    assert grouped([value]) == ([0], [])


def test_the_longest_value_counts() -> None:
    assert grouped([f'"{"长" * MAX_VALUE_CHARS}"'])[0] == [1]


def test_items_without_the_field_are_other() -> None:
    assert grouped(['"甲"'], "city") == ([0], [])
    assert grouped(['"甲"'], "") == ([0], [])


def test_values_beyond_the_first_thousand_are_other() -> None:
    groups, new = grouped([str(number) for number in range(MAX_VALUES + 5)] + ["3"])
    assert groups == [*range(1, MAX_VALUES + 1), *[0] * 5, 4]
    assert len(new) == MAX_VALUES


def test_a_grouping_goes_on_where_another_one_ended(store: JobStore) -> None:
    job_id = record(store, [1, 2])
    more = Grouping("shop", read_values(store, job_id))
    items = [Item("好", 1, data=f'{{"shop":"{value}"}}'.encode()) for value in "乙丙甲"]
    assert [item.group for item in more.number(items)] == [2, 3, 1]
    assert list(more.take()) == [(3, '"丙"')]


def test_an_upload_adds_values_as_they_come(store: JobStore) -> None:
    job_id, terms = store.ids.issue(""), Terms(queue_class=BULK, summarize_by="shop")
    store.create(job_id, terms, [Chunk(job_id, 0, items_of([1]))], feed=FEED, groups=[(1, '"甲"')])
    assert uploads.append_chunks(store, [Chunk(job_id, 1, items_of([2]))], FEED, groups=[(2, '"乙"')])
    finish(store)
    assert [(value, tally.items) for value, tally in read_summary(store, job_id).groups] == [
        ("甲", 1),
        ("乙", 1),
    ]


def test_a_retry_is_counted_by_the_same_field(store: JobStore) -> None:
    job_id, grouping = store.ids.issue(""), Grouping("shop")
    items = [Item("好", 1, data=f'{{"shop":"{shop}"}}'.encode()) for shop in "乙甲乙"]
    chunk = Chunk(job_id, 0, [*grouping.number(items)])
    store.create(job_id, Terms(queue_class=BULK, summarize_by="shop"), [chunk], groups=grouping.take())
    store.redis.hset(job_key(job_id), "deadline", 1)
    cancel.expire_chunks(store, job_id, ItemError.DEADLINE_EXCEEDED)
    job = store.job(job_id)
    again = Grouping(retry_terms(job).summarize_by)
    assert [item.group for item in again.number(retryable_items(store, job))] == [1, 2, 1]
    assert list(again.take()) == [(1, '"乙"'), (2, '"甲"')]
