"""The types of the client are those of docs/openapi.json."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from sentiq import Counts, Item, ItemError, ModelInfo, Terms, Verdict
from sentiq.models import AspectVerdict, Highlight, Label, Sentence
from sentiq.waiting import RUNNING

from local.processes import ROOT

SCHEMAS: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))["components"][
    "schemas"
]
ITEMS = ("ScoredItem", "AspectsItem", "FailedItem")
# What a verdict has in `raw` only.
RAW_ONLY = {"chars", "tokens", "text_tokens", "cached", "attempts"}
JSON_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def properties(*names: str) -> dict[str, Any]:
    """Return the properties of schemas."""
    return {key: value for name in names for key, value in SCHEMAS[name]["properties"].items()}


def types_of(schema: dict[str, Any]) -> set[str]:
    """Return the types of a property; an enum is a string."""
    if "$ref" in schema:
        return types_of(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return {each for part in schema["anyOf"] for each in types_of(part)}
    return {schema["type"]} if "type" in schema else set()


def simple_types(annotation: str) -> set[str] | None:
    """Return the JSON types of an annotation of plain types; None for others."""
    parts = [part.strip() for part in annotation.removeprefix("NotRequired[").removesuffix("]").split("|")]
    known = {part: JSON_TYPES.get(part, "null" if part == "None" else "") for part in parts}
    return set(known.values()) if all(known.values()) else None


def test_terms_are_those_of_a_job() -> None:
    assert set(Terms.__annotations__) == set(properties("JobIn")) - {"text", "items"}


def test_an_item_is_one_of_a_request() -> None:
    assert {each.name for each in fields(Item)} == set(properties("ItemIn"))


def test_a_verdict_has_what_items_have() -> None:
    assert {each.name for each in fields(Verdict)} - {"raw"} == set(properties(*ITEMS)) - RAW_ONLY


@pytest.mark.parametrize(
    ("model", "schema"),
    [
        (Counts, "Counts"),
        (ItemError, "ItemErrorBody"),
        (Highlight, "Highlight"),
        (AspectVerdict, "AspectVerdict"),
        (Label, "Label"),
        (ModelInfo, "RegisteredModel"),
        (Sentence, "Sentence"),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_model_has_documented_fields_of_documented_types(model: type, schema: str) -> None:
    documented = properties(schema)
    annotations = {
        name: getattr(each, "__forward_arg__", each) for name, each in model.__annotations__.items()
    }
    assert set(annotations) <= set(documented)
    for name, annotation in annotations.items():
        if (expected := simple_types(str(annotation))) is not None:
            optional = {"null"} if name not in SCHEMAS[schema].get("required", []) else set()
            assert types_of(documented[name]) | optional == expected | optional, name


def test_a_job_that_is_not_finished_has_a_known_status() -> None:
    ended = {"succeeded", "partial", "failed", "canceled", "timed_out"}
    assert set(SCHEMAS["JobStatus"]["enum"]) == RUNNING | ended
