"""The `data` of items is taken out of JSON as the bytes that came, whatever else the JSON holds."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from pydantic import ValidationError

from api.intake.documents import parse
from api.intake.item_data import take_data, take_data_of_line
from api.intake.ndjson import read_item
from api.intake.rejections import InvalidJsonError, InvalidRequestError
from api.schemas.request_bodies import JobIn
from tasks.settings import Settings
from tasks.vocabulary.attachments import MAX_DATA_BYTES
from tasks.vocabulary.items import ItemError

SETTINGS = Settings()
WORDS = ["data", "items", "text", '"data":{', "}", "\\", '\\"', "店", "\u2028", "[", "a,b", ""]
FULL = b'{"note":"%s"}'


def value(dice: random.Random, depth: int = 0) -> Any:
    kind = dice.randrange(4 if depth > 3 else 6)
    if kind == 4:
        return [value(dice, depth + 1) for _ in range(dice.randrange(4))]
    if kind == 5:
        return {dice.choice(WORDS): value(dice, depth + 1) for _ in range(dice.randrange(4))}
    return [dice.choice(WORDS), dice.randrange(10**30), 1.5, None][kind]


def written(dice: random.Random, given: Any) -> str:
    """Return JSON in one of the ways in which callers write it."""
    indent, ascii_only = dice.choice([None, 1]), dice.random() < 0.5
    return json.dumps(
        given, ensure_ascii=ascii_only, indent=indent, separators=dice.choice([(",", ":"), (" , ", " :\t")])
    )


def item(dice: random.Random) -> tuple[str, str | None]:
    """Return an item as JSON, and its data as it stands there."""
    members = [
        f'"text": {json.dumps(dice.choice(WORDS))}',
        f'"id" :{json.dumps(dice.choice([None, "x", "}"]))}',
    ]
    data = None
    if dice.random() < 0.7:
        data = written(dice, {dice.choice(WORDS): value(dice) for _ in range(dice.randrange(4))})
        members.insert(dice.randrange(3), dice.choice(['"data":', '"d\\u0061ta" : ']) + data)
    return f"{{ {' , '.join(members)}\n}}", data


def test_the_data_of_each_item_is_taken_as_it_was_written_and_the_rest_is_left() -> None:
    for seed in range(1500):
        dice = random.Random(seed)
        items = [item(dice) for _ in range(dice.randrange(1, 5))]
        terms = [f'"metadata": {written(dice, {"data": "{", "items": "["})}'] * dice.randrange(2)
        members = [f' "items" : [ {", ".join(text for text, _ in items)} ] ', *terms]
        dice.shuffle(members)
        document = f"\ufeff {{{', '.join(members)}}}".encode()
        rest, data = take_data(document, 9)
        assert data == {i: each.encode() for i, (_, each) in enumerate(items) if each is not None}, document
        expected = json.loads(document.decode().lstrip("\ufeff"))
        for each in expected["items"]:
            each.update({"data": {}} if "data" in each else {})
        assert json.loads(rest.decode().lstrip("\ufeff")) == expected
        line, expected_data = items[0]
        assert take_data_of_line(line.encode())[1] == (expected_data.encode() if expected_data else None)


@pytest.mark.parametrize(
    "line",
    [
        b'{"text":"a","data":5}',
        b'{"text":"a","data":[1]}',
        b'{"text":"a","data":"{}"}',
        b'{"text":"a","data":{"a":NaN}}',
        b'{"text":"a","data":{"a":1},"data":7}',
        b'{"text":"a","data":' + FULL % (b"x" * (MAX_DATA_BYTES - 10)) + b"}",
        b'{"text":"a","data":{"a":%s1%s}}' % (b"[" * 5000, b"]" * 5000),
    ],
)
def test_what_is_no_object_of_that_size_is_an_error_of_its_item(line: bytes) -> None:
    read = read_item(line, SETTINGS)
    wanted = ItemError.INVALID_JSON if b"[[" in line else ItemError.INVALID_DATA
    assert (read.error, read.data) == (wanted, None)
    with pytest.raises((ValidationError, InvalidRequestError, InvalidJsonError)) as refusal:
        accept(b'{"items":[{"text":"b"},%s]}' % line)
    if isinstance(refusal.value, ValidationError):
        assert refusal.value.errors()[0]["loc"] == ("items", 1, "data")


def accept(body: bytes) -> JobIn:
    rest, _ = take_data(body, SETTINGS.max_items)
    return parse(JobIn, rest, SETTINGS.max_items)


def test_of_several_lists_of_items_the_last_has_its_data() -> None:
    first = b'[{"text":"a","data":{"x":1}},{"text":"b","data":{"x":2}}]'
    body = b'{"items":%s,"items":[{"text":"c"},{"text":"d","data":{"y":3}}]}' % first
    assert take_data(body, SETTINGS.max_items)[1] == {1: b'{"y":3}'}


@pytest.mark.parametrize(
    ("line", "data"),
    [
        (b'{"data":{"a":1},"text":"a"}', b'{"a":1}'),
        (b'{"data":{"a":1},"text":"a","data":{"b" : 2.10}}', b'{"b" : 2.10}'),
        (b'{"data":{},"text":"a"}', b"{}"),
        (b'{"data":null,"text":"a"}', None),
        (b'{"data":{"half":"\\ud83d"},"text":"a"}', b'{"half":"\\ufffd"}'),
        (
            b'{"text":"a","data":' + FULL % (b"x" * (MAX_DATA_BYTES - 11)) + b"}",
            FULL % (b"x" * (MAX_DATA_BYTES - 11)),
        ),
        (b'"\\"data\\": {}"', None),
    ],
)
def test_a_line_keeps_its_data(line: bytes, data: bytes | None) -> None:
    read = read_item(line, SETTINGS)
    assert (read.error, read.data) == (None, data)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"text":" ","data":{"a":1}}', ItemError.EMPTY_TEXT),
        (b'{"text":7,"data":{"a":1}}', ItemError.INVALID_TEXT),
        (b'{"text":"a","id":"","data":{"a":1}}', ItemError.INVALID_ID),
        (b'{"text":"a","color":{},"data":{"a":1}}', ItemError.UNKNOWN_FIELD),
    ],
)
def test_an_item_with_an_error_keeps_its_data(line: bytes, error: ItemError) -> None:
    read = read_item(line, SETTINGS)
    assert (read.error, read.data) == (error, b'{"a":1}')


@pytest.mark.parametrize("cut", range(1, 60, 3))
def test_a_document_without_its_end_is_no_json(cut: int) -> None:
    whole = b'{"items":[{"text":"a","data":{"a":[1,"b"]},"id":"\xe5\xba\x97"},{"text":"c"}]}'
    with pytest.raises((InvalidJsonError, ValidationError)):
        accept(whole[:-cut])


def test_the_values_of_data_do_not_count_against_those_of_a_document() -> None:
    data = b'{"a":[%s1]}' % (b"1," * 900)
    body = b'{"items":[%s]}' % b",".join([b'{"text":"a","data":%s}' % data] * SETTINGS.max_items)
    rest, taken = take_data(body, SETTINGS.max_items)
    assert len(taken) == SETTINGS.max_items
    assert len(parse(JobIn, rest, SETTINGS.max_items).items or []) == SETTINGS.max_items


@pytest.mark.parametrize(
    "body",
    [
        b'{"items":[%s]}' % b",".join([b"{}"] * 10**6),
        b'{"items":[{"data":%s' % (b'{"a":' * 800_000),
        b'{"items":[{"data":{"a":"%s' % (b'\\"' * 2_000_000),
        b'{"items":[{"data":{"a":%s' % (b'"' * 4_000_000),
        b'{"data":%s' % (b"[]," * 1_300_000),
        b'{"items":[%s' % (b'{"data":{"a":[[[[[[[[]]]]]]]]}},' * 120_000),
    ],
    ids=["items", "objects", "escapes", "quotes", "lists", "nested"],
)
def test_a_hostile_document_is_left_early(body: bytes) -> None:
    began = time.process_time()
    take_data(body, SETTINGS.max_items)
    assert time.process_time() - began < 0.5
