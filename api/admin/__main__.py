"""`python -m api.admin`: what operators do beside their calls, in the Redis that REDIS_URL names.

It does what the calls below /v1/admin do, and prints a table, or with `--json` what they answer. Commands for
keys and the audit log: `python -m api.auth`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from api.admin.commands import COMMANDS
from api.http.problems import from_error
from tasks.console import aligned, replace_unencodable
from tasks.errors import ConfigurationError, SentiqError, StoreUnavailableError
from tasks.settings import Settings
from tasks.store.connection import require_one_redis
from tasks.store.jobs import JobStore

_UNKNOWN = 500  # the status of an error that no call answers with


class _OptionError(Exception):
    """An option has a value that cannot be used."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    replace_unencodable()
    options = parser().parse_args(arguments)
    command = COMMANDS[options.command]
    try:
        store = JobStore.connect(Settings.read())
        require_one_redis(store.redis)
        body = command.run(store, _asked(options, command.asked))
    except StoreUnavailableError as error:
        print(f"api.admin: Redis does not answer: {error}", file=sys.stderr)
    except (ConfigurationError, _OptionError) as error:
        print(f"api.admin: {error}", file=sys.stderr)
    except SentiqError as error:
        problem = from_error(error)
        print(f"api.admin: {problem.detail if problem.status != _UNKNOWN else error}", file=sys.stderr)
    else:
        rows = command.rows(body)
        print(to_json(body, indent=1).decode() if options.json else _table(rows, command.columns))
        return 0
    return 1


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, which has the options of every command."""
    made = argparse.ArgumentParser(prog="python -m api.admin", description=__doc__)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        options = commands.add_parser(name, help=command.help)
        for field, info in command.asked.model_fields.items():
            if field == "dry_run":
                options.add_argument("--submit", action="store_true", help="do it; else only count")
            else:
                option = (info.alias or field).replace("_", "-")
                options.add_argument(f"--{option}", dest=info.alias or field, help=info.description)
        options.add_argument("--json", action="store_true", help="print JSON in place of a table")
    return made


def _asked(options: argparse.Namespace, model: type[BaseModel]) -> BaseModel:
    """Return the options as the call would get them. Raises _OptionError that names the first wrong one."""
    names = [info.alias or field for field, info in model.model_fields.items()]
    given = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    if "dry_run" in model.model_fields:
        given["dry_run"] = not options.submit
    try:
        return model.model_validate(given, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        named = "".join(f"--{name}: ".replace("_", "-") for name in first["loc"][:1])
        raise _OptionError(named + first["msg"].removeprefix("Value error, ")) from None


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    return aligned([columns, *([_cell(row[column]) for column in columns] for row in rows)])


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(map(_cell, value))
    if isinstance(value, dict):
        return " ".join(f"{name}={_cell(each)}" for name, each in value.items())
    return "" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
