"""The command line of `python -m api.auth`."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from api.auth.key_record import MAX_WEIGHT, MIN_WEIGHT
from api.auth.scopes import Scope
from tasks.vocabulary.jobs import QueueClass

Body = TypeVar("Body", bound=BaseModel)

_LIMITS = {
    "rate": "requests a second, in the long run",
    "burst": "requests at once",
    "max_pending_items": "items that are not finished",
    "max_concurrent_jobs": "jobs that are not finished",
}
_DAYS = re.compile(r"([0-9]{1,5})d")
_HELP = {
    "list": "show all keys, without secrets",
    "audit": "show who did what to which key or job, and when",
    "disable": "have a key work no more, until it is enabled",
    "enable": "have a disabled key work again",
    "purge": "delete all jobs of a key, also of one that is revoked",
}


class OptionError(Exception):
    """An option has a value that cannot be used; the argument names both."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(prog="python -m api.auth", description=description)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    create = commands.add_parser("create", help="make a key and show its secret, once")
    create.add_argument("name", help="who uses it, for people to read")
    change = commands.add_parser("change", help="change what is given of a key")
    change.add_argument("--name", help="who uses it, for people to read")
    for command in (create, change):
        _add_terms(command)
    rotate = commands.add_parser("rotate", help="add a secret and show it, once")
    rotate.add_argument(
        "--overlap",
        type=int,
        metavar="SECONDS",
        help="how long the previous secret stays valid; until `revoke --old` if left out",
    )
    revoke = commands.add_parser("revoke", help="delete a key")
    revoke.add_argument("--old", action="store_true", help="only the secret from before the last rotation")
    weigh = commands.add_parser("weigh", help="change a key's share of a full service beside other keys")
    others = {name: commands.add_parser(name, help=text) for name, text in _HELP.items()}
    for command in (
        change,
        rotate,
        revoke,
        weigh,
        *(others[name] for name in ("disable", "enable", "purge")),
    ):
        command.add_argument("id", help="the key's id, as `list` shows it")
    weigh.add_argument(
        "weight", type=_weight, help=f"{MIN_WEIGHT:g} to {MAX_WEIGHT:g}; 3 gets three times what 1 gets"
    )
    for command in (create, change, rotate, others["list"], others["audit"]):
        command.add_argument("--json", action="store_true", help="print JSON in place of a table")
    return whole


def _weight(text: str) -> float:
    """Read a weight. Raises ArgumentTypeError naming the limits."""
    try:
        weight = float(text)
    except ValueError:
        weight = 0
    if not MIN_WEIGHT <= weight <= MAX_WEIGHT:
        message = f"expected a number from {MIN_WEIGHT:g} to {MAX_WEIGHT:g}, not {text}"
        raise argparse.ArgumentTypeError(message)
    return weight


def _add_terms(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--scope",
        type=Scope,
        choices=list(Scope),
        action="append",
        help="what the key may do; repeat it for more; a new key gets submit, read and cancel if left out",
    )
    command.add_argument("--weight", type=_weight, help="its share beside other keys; a new key has 1")
    command.add_argument("--description", help="anything about it, for people to read")
    command.add_argument(
        "--expires", metavar="TIME", help="when it ends: 90d, 2027-01-31T00:00:00Z, or never"
    )
    for name, text in _LIMITS.items():
        option = "--" + name.replace("_", "-")
        command.add_argument(option, metavar="N", help=f"{text}; none: the limit of the service")
    command.add_argument("--model", action="append", help="a model that jobs may name; repeat it; none: all")
    command.add_argument(
        "--class",
        dest="classes",
        choices=[*QueueClass, "none"],
        action="append",
        help="a class that jobs may have; repeat it; none: both",
    )


def body_of(options: argparse.Namespace, model: type[Body]) -> Body:
    """Return what the options of `create` and `change` give, checked as a request is.

    Raises OptionError.
    """
    given: dict[str, Any] = {
        name: value
        for name in ("name", "description", "weight")
        if (value := getattr(options, name, None)) is not None
    }
    if options.scope:
        given["scopes"] = list(dict.fromkeys(options.scope))
    if options.expires:
        given["expires_at"] = _expiry(options.expires)
    limits = {name: _number(name, value) for name in _LIMITS if (value := getattr(options, name))}
    limits |= {
        name: None if "none" in values else values
        for name, values in {"models": options.model, "classes": options.classes}.items()
        if values
    }
    if limits:
        given["limits"] = limits
    return checked(model, given)


def checked(model: type[Body], given: dict[str, Any]) -> Body:
    """Return a body of these fields. Raises OptionError that names the first one that is wrong."""
    try:
        return model.model_validate_json(to_json(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise OptionError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None


def _expiry(given: str) -> str | None:
    if given == "never":
        return None
    if days := _DAYS.fullmatch(given):
        return (datetime.now(UTC) + timedelta(days=int(days[1]))).isoformat()
    return given


def _number(name: str, given: str) -> float | None:
    try:
        return None if given == "none" else float(given)
    except ValueError:
        raise OptionError(f"{name}: {given!r} is no number, nor `none`") from None
