"""`python -m api.admin`: jobs, failures, replays and usage of all owners in the Redis that REDIS_URL names.

It does what the calls below /v1/admin do, and prints a table, or with `--json` what they answer.
"""

from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from api.auth.api_keys import ApiKeys
from api.intake.replays import Replays, replays_view
from api.intake.submission import Submission
from api.output.operator_jobs import failed_filter, job_filter, operator_job_view, sum_of_errors
from api.output.usage import OWNER_COLUMNS, all_usage
from api.schemas import operator_jobs as bodies
from api.schemas.queries import AllUsageQuery, FailuresQuery, OperatorJobsQuery
from tasks.broker.celery_app import build_publisher
from tasks.console import aligned, replace_unencodable
from tasks.errors import ConfigurationError, SentiqError, StoreUnavailableError
from tasks.settings import Settings
from tasks.store.all_jobs import JobFilter, errors_of, page
from tasks.store.audit import this_user
from tasks.store.connection import require_one_redis
from tasks.store.jobs import JobStore
from tasks.store.models import Models

Asked = TypeVar("Asked", bound=BaseModel)

# The options of each command, which are the parameters of its call.
_COMMANDS: dict[str, tuple[str, type[BaseModel]]] = {
    "jobs": ("list the jobs of all owners, newest first", OperatorJobsQuery),
    "failures": ("list the jobs with items that failed or timed out", FailuresQuery),
    "replays": ("count failed items, and with --submit submit them again", bodies.ReplayIn),
    "usage": ("sum what each key used, by day and model", AllUsageQuery),
}
_JOB_COLUMNS = ("id", "owner", "name", "status", "priority", "model_name", "created_at", "errors")
_REPLAY_COLUMNS = ("job", "owner", "items", "replay", "refused")


class _OptionError(Exception):
    """An option has a value that cannot be used."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    replace_unencodable()
    options = _parser().parse_args(arguments)
    try:
        store = JobStore.connect(Settings.read())
        require_one_redis(store.redis)
        body, rows, columns = _run(options, store)
    except StoreUnavailableError as error:
        print(f"api.admin: Redis does not answer: {error}", file=sys.stderr)
    except (ConfigurationError, SentiqError, _OptionError) as error:
        print(f"api.admin: {error}", file=sys.stderr)
    else:
        print(to_json(body, indent=1).decode() if options.json else _table(rows, columns))
        return 0
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m api.admin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (text, model) in _COMMANDS.items():
        command = commands.add_parser(name, help=text)
        for field, info in model.model_fields.items():
            if field != "dry_run":
                option = (info.alias or field).replace("_", "-")
                command.add_argument(f"--{option}", dest=info.alias or field, help=info.description)
        command.add_argument("--json", action="store_true", help="print JSON in place of a table")
        if name == "replays":
            command.add_argument(
                "--submit", action="store_true", help="submit the items; else only count them"
            )
    return parser


def _run(
    options: argparse.Namespace, store: JobStore
) -> tuple[Any, Sequence[Mapping[str, Any]], Sequence[str]]:
    """Run a command; return the body of its call, its rows and the columns of the table."""
    api_keys = ApiKeys(store)
    if options.command == "usage":
        usage = all_usage(store, _names(api_keys), _asked(options, AllUsageQuery))
        return usage, usage["data"], OWNER_COLUMNS
    if options.command == "replays":
        replays = _replays(options, store)
        return replays, replays["data"], _REPLAY_COLUMNS
    if options.command == "jobs":
        query = _asked(options, OperatorJobsQuery)
        views, cursor = _views(store, api_keys, job_filter(query), query.cursor, query.limit)
        return bodies.OperatorJobs(object="list", data=views, next_cursor=cursor), views, _JOB_COLUMNS
    asked = _asked(options, FailuresQuery)
    views, cursor = _views(store, api_keys, failed_filter(asked), asked.cursor, asked.limit)
    views = [view for view in views if asked.code is None or asked.code in view["errors"]]
    errors = sum_of_errors(views)
    return bodies.Failures(object="list", data=views, errors=errors, next_cursor=cursor), views, _JOB_COLUMNS


def _views(
    store: JobStore, api_keys: ApiKeys, passing: JobFilter, cursor: str | None, limit: int
) -> tuple[list[bodies.OperatorJob], str | None]:
    jobs, following = page(store, passing, cursor, limit, charge=lambda: None)
    names, errors = _names(api_keys), errors_of(store, [job.id for job in jobs])
    return [operator_job_view(job, names.get(job.terms.owner), errors[job.id]) for job in jobs], following


def _replays(options: argparse.Namespace, store: JobStore) -> bodies.Replays:
    body = _asked(options, bodies.ReplayIn)
    submission = Submission(store, build_publisher(store.settings), store.settings, Models(store))
    replays = Replays(store, submission, this_user(), uuid.uuid4().hex, body.code, dry_run=not options.submit)
    done, cursor = replays.run(failed_filter(body), body.cursor, body.limit, lambda: None)
    return replays_view(done, cursor, dry_run=replays.dry_run)


def _names(api_keys: ApiKeys) -> dict[str, str]:
    return {key.id: key.name for key in api_keys.all()}


def _asked(options: argparse.Namespace, model: type[Asked]) -> Asked:
    """Return the options as the call would get them. Raises _OptionError that names the first wrong one."""
    names = [info.alias or field for field, info in model.model_fields.items()]
    given = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    try:
        return model.model_validate(given, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise _OptionError(f"--{option}: {first['msg'].removeprefix('Value error, ')}") from None


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    return aligned([columns, *([_cell(row[column]) for column in columns] for row in rows)])


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={number}" for name, number in value.items())
    return "" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
