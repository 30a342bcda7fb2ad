"""What each command does: the same as its call below /v1/admin, and the columns of its table."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from api.auth.api_keys import ApiKeys
from api.intake.pausing import Pausing
from api.intake.redeliveries import Redeliveries, run_test
from api.intake.replays import Replays, replays_view
from api.intake.submission import Submission
from api.output.operator_deliveries import (
    deliveries_view,
    delivery_filter,
    redeliveries_view,
    webhook_test_view,
)
from api.output.operator_jobs import failed_filter, job_filter, operator_job_view, sum_of_errors
from api.output.owners import owners_view
from api.output.pauses import pauses_view
from api.output.usage import OWNER_COLUMNS, all_usage
from api.output.workers import workers_view
from api.schemas import operator_deliveries as webhooks
from api.schemas import operator_jobs as bodies
from api.schemas import owners, usage, workers
from api.schemas import pauses as pause_bodies
from api.schemas.queries import AllDeliveriesQuery, AllUsageQuery, FailuresQuery, NoQuery, OperatorJobsQuery
from tasks.broker.celery_app import build_publisher
from tasks.store import all_deliveries, audit
from tasks.store.all_jobs import JobFilter, errors_of, page
from tasks.store.audit import this_user
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.models import Models


@dataclass(frozen=True, slots=True)
class Command:
    """`run` takes what the call would take and returns its body, of which `columns` make a table.

    The options are the fields of `asked`; a `dry_run` among them is the option `--submit`, turned round.
    """

    help: str
    asked: type[BaseModel]
    run: Callable[[JobStore, Any], Any]
    columns: Sequence[str]
    rows: Callable[[Any], Sequence[Mapping[str, Any]]] = lambda body: body["data"]


def jobs(store: JobStore, asked: OperatorJobsQuery) -> bodies.OperatorJobs:
    """List the jobs of all owners."""
    views, cursor = _views(store, job_filter(asked), asked.cursor, asked.limit)
    return {"object": "list", "data": views, "next_cursor": cursor}


def failures(store: JobStore, asked: FailuresQuery) -> bodies.Failures:
    """List the jobs with items that failed."""
    views, cursor = _views(store, failed_filter(asked), asked.cursor, asked.limit)
    views = [view for view in views if asked.code is None or asked.code in view["errors"]]
    return {"object": "list", "data": views, "errors": sum_of_errors(views), "next_cursor": cursor}


def replays(store: JobStore, asked: bodies.ReplayIn) -> bodies.Replays:
    """Count failed items, or submit them again."""
    run = Replays(store, _submission(store), this_user(), uuid.uuid4().hex, asked.code, dry_run=asked.dry_run)
    done, cursor = run.run(failed_filter(asked), asked.cursor, asked.limit, lambda: None)
    _record(store, "replay_failures")
    return replays_view(done, cursor, dry_run=asked.dry_run)


def deliveries(store: JobStore, asked: AllDeliveriesQuery) -> webhooks.OwnedDeliveries:
    """List the deliveries of all owners."""
    found, cursor = all_deliveries.page(
        store, delivery_filter(asked), asked.cursor, asked.limit, charge=lambda: None
    )
    return deliveries_view(found, cursor, _names(store))


def redeliveries(store: JobStore, asked: webhooks.RedeliveryIn) -> webhooks.Redeliveries:
    """Count deliveries, or make them again."""
    run = Redeliveries(store, this_user(), dry_run=asked.dry_run)
    done, cursor = run.run(asked, delivery_filter(asked), lambda: None)
    _record(store, "redeliver_webhooks")
    return redeliveries_view(done, cursor, dry_run=asked.dry_run)


def test_webhook(store: JobStore, asked: webhooks.WebhookTestIn) -> webhooks.WebhookTest:
    """Have a sender send a test."""
    tested = run_test(store, asked, this_user())
    _record(store, "test_webhook")
    return webhook_test_view(*tested)


def used(store: JobStore, asked: AllUsageQuery) -> usage.AllUsage:
    """Sum what each key used."""
    return all_usage(store, _names(store), asked)


def list_owners(store: JobStore, _: NoQuery) -> owners.Owners:
    """List what each owner has open and kept."""
    return owners_view(store, list(Models(store).names), _names(store))


def list_workers(store: JobStore, _: NoQuery) -> workers.AllWorkers:
    """List the workers and their children."""
    return workers_view(store)


def _children(body: workers.AllWorkers) -> Iterator[Mapping[str, Any]]:
    """Yield a row for each child, and one for a worker without any."""
    for worker in body["data"]:
        of_worker = {
            "host": worker["host"],
            "worker": worker["pid"],
            "worker_state": worker["state"],
            "model": worker["model"],
            "replaced": worker["replaced"],
        }
        empty = {"child": None, "state": None, "leased": None}
        known = {name: worker[name] for name in ("age_s", "items_per_s", "memory_bytes")}
        for child in worker["children"]:
            yield {**of_worker, "child": child["pid"], **child}
        if not worker["children"]:
            yield {**of_worker, **empty, **known}


def list_pauses(store: JobStore, _: NoQuery) -> pause_bodies.Pauses:
    """List what is paused."""
    return pauses_view(store)


def pause(store: JobStore, asked: pause_bodies.PauseIn) -> pause_bodies.Pauses:
    """Pause a class, a model or an owner."""
    _pausing(store).pause(asked.target, asked.reason)
    return pauses_view(store)


def resume(store: JobStore, asked: pause_bodies.ResumeIn) -> pause_bodies.Pauses:
    """Resume a class, a model or an owner."""
    _pausing(store).resume(asked.target)
    return pauses_view(store)


_PAUSE_COLUMNS = ("target", "since", "by", "items", "reason")
COMMANDS: dict[str, Command] = {
    "jobs": Command(
        "list the jobs of all owners, newest first",
        OperatorJobsQuery,
        jobs,
        ("id", "owner", "name", "status", "priority", "model_name", "created_at", "errors"),
    ),
    "failures": Command(
        "list the jobs with items that failed or timed out",
        FailuresQuery,
        failures,
        ("id", "owner", "name", "status", "priority", "model_name", "created_at", "errors"),
    ),
    "replays": Command(
        "count failed items, and with --submit submit them again",
        bodies.ReplayIn,
        replays,
        ("job", "owner", "items", "replay", "refused"),
    ),
    "deliveries": Command(
        "list the deliveries of webhooks, that of the job that finished last first",
        AllDeliveriesQuery,
        deliveries,
        ("job", "owner", "name", "host", "status", "attempts", "status_code", "error", "next_attempt_at"),
    ),
    "redeliveries": Command(
        "count deliveries, and with --submit make them again",
        webhooks.RedeliveryIn,
        redeliveries,
        ("job", "owner", "host", "status", "redelivered"),
    ),
    "test-webhook": Command(
        "send a signed test to a URL or to the webhook of a job",
        webhooks.WebhookTestIn,
        test_webhook,
        ("id", "owner", "host", "delivered", "status_code", "error", "duration_ms"),
        lambda body: [body],
    ),
    "workers": Command(
        "list the workers and their children",
        NoQuery,
        list_workers,
        (
            *("host", "worker", "worker_state", "model", "replaced", "child", "state", "leased"),
            *("age_s", "items_per_s", "memory_bytes"),
        ),
        lambda body: list(_children(body)),
    ),
    "usage": Command("sum what each key used, by day and model", AllUsageQuery, used, OWNER_COLUMNS),
    "owners": Command(
        "list what each owner has open and kept, its shares and when it should be done",
        NoQuery,
        list_owners,
        ("owner", "name", "weight", "pending_items", "paused_items", "open_jobs", "kept_bytes", "queues"),
    ),
    "pauses": Command("list what is paused, by whom and why", NoQuery, list_pauses, _PAUSE_COLUMNS),
    "pause": Command("pause a class, a model or an owner", pause_bodies.PauseIn, pause, _PAUSE_COLUMNS),
    "resume": Command("resume a class, a model or an owner", pause_bodies.ResumeIn, resume, _PAUSE_COLUMNS),
}


def _views(
    store: JobStore, passing: JobFilter, cursor: str | None, limit: int
) -> tuple[list[bodies.OperatorJob], str | None]:
    found, following = page(store, passing, cursor, limit, charge=lambda: None)
    names, errors = _names(store), errors_of(store, [job.id for job in found])
    return [operator_job_view(job, names.get(job.terms.owner), errors[job.id]) for job in found], following


def _submission(store: JobStore) -> Submission:
    return Submission(store, build_publisher(store.settings), store.settings, Models(store))


def _pausing(store: JobStore) -> Pausing:
    names = _names(store)
    return Pausing(store, _submission(store), Models(store).names, names.__contains__, this_user())


def _names(store: JobStore) -> dict[str, str]:
    return {key.id: key.name for key in ApiKeys(store).all()}


def _record(store: JobStore, action: str) -> None:
    """Record the command, as its call is recorded."""
    with store_errors():
        audit.append(store.redis, action)
