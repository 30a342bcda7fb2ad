"""Every call in docs/api.md is made, word for word, and answered as is printed there."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from local.processes import ROOT
from local.stack import Stack
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tests.conftest import INT8_TOLERANCE

DOCUMENT = (ROOT / "docs" / "api.md").read_text("utf-8")
CALL = re.compile(r"```sh\n(curl .*?)\n```\n```\w* ?(\d+)\n(.*?)```", re.DOTALL)
ANYTHING = "…"
MAKES = {"/v1/jobs": "JOB", "/v1/admin/keys": "KEY"}
ROW = re.compile(r"index,|\d+,")  # of CSV


@dataclass
class Curl:
    """What a command line asks for."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None


def parse(command: str, variables: Mapping[str, str]) -> Curl:
    """Read a command line; `-H @operator.txt` sends the key of an operator."""
    for name, value in variables.items():
        command = command.replace(f"${name}", value)
    words = iter(shlex.split(command.replace("\\\n", " "))[1:])
    call, method = Curl("GET", "", {}, None), ""
    for word in words:
        if word == "-X":
            method = call.method = next(words)
        elif word == "-H":
            given = next(words).replace("@operator.txt", f"authorization: Bearer {variables['OPERATOR']}")
            name, value = given.split(": ")
            call.headers[name] = value
        elif word in ("-d", "--data-binary"):
            call.body, call.method = next(words), method or "POST"
        elif word not in ("-s", "-sN"):
            assert not word.startswith("-"), f"{word}: the test does not know it"
            call.url = word.removeprefix("localhost:8000")
    return call


def alike(printed: Any, real: Any) -> bool:
    """Whether the answer is the printed one, in which … stands for anything."""
    if printed == ANYTHING:
        return True
    if isinstance(printed, dict) and isinstance(real, dict):
        more = ANYTHING in printed
        named = {key: value for key, value in printed.items() if key != ANYTHING}
        same = named.keys() <= real.keys() if more else named.keys() == real.keys()
        return same and all(alike(value, real[key]) for key, value in named.items())
    if isinstance(printed, list) and isinstance(real, list):
        open_ended = printed[-1:] == [ANYTHING]
        first = printed[:-1] if open_ended else printed
        same = len(first) <= len(real) if open_ended else len(first) == len(real)
        return same and all(map(alike, first, real))
    if isinstance(printed, str) and isinstance(real, str):
        return re.fullmatch(".*".join(map(re.escape, printed.split(ANYTHING))), real) is not None
    if isinstance(printed, float) and isinstance(real, float):
        return printed == pytest.approx(real, abs=2 * INT8_TOLERANCE, rel=0)
    return bool(printed == real)


def read(text: str) -> Any:
    """JSON, or the lines of anything else, each read by itself, rows of CSV cell by cell."""
    try:
        return json.loads(text)
    except ValueError:
        lines = text.strip().splitlines()
        if len(lines) > 1:
            return [read(line) for line in lines]
        return [read(cell) for cell in text.split(",")] if ROW.match(text) else text.strip()


def test_answers_are_those_that_are_printed(http: httpx2.Client, live: Stack) -> None:
    api_keys = ApiKeys(JobStore.connect(Settings(redis_url=live.redis_url)))
    for left in api_keys.all():  # by other files that share this stack
        api_keys.revoke(left.id)
    _, operator = api_keys.create("operator", [Scope.OPERATOR])
    variables, wrong = {"JOB": "", "KEY": "", "OPERATOR": operator}, []
    for command, status, printed in CALL.findall(DOCUMENT):
        call = parse(command, variables)
        answer = http.request(call.method, call.url, headers=call.headers, content=call.body)
        if (answer.status_code, alike(read(printed), read(answer.text))) != (int(status), True):
            wrong.append(f"{command}\n{answer.status_code}\n{answer.text}\n\nprinted: {status}\n{printed}")
        if call.method == "POST" and urlsplit(call.url).path in MAKES:
            name = MAKES[urlsplit(call.url).path]
            variables[name] = answer.json().get("id", variables[name])
    assert not wrong, "\n\n".join(wrong)


def test_every_path_has_its_call() -> None:
    variables = {"JOB": "job_1", "KEY": "key_1", "OPERATOR": "operator"}
    calls = [parse(command, variables) for command, _, _ in CALL.findall(DOCUMENT)]
    made = {(call.method.lower(), urlsplit(call.url).path) for call in calls}
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))["paths"]
    for path, methods in paths.items():
        for method in methods:
            named = path.replace("{job_id}", "job_1").replace("{key_id}", "key_1")
            assert (method, named) in made, f"{method.upper()} {path}"
