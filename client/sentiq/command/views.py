"""What the service says, as tables or JSON: every subcommand but `score` and `completion`."""

from __future__ import annotations

import itertools
import json
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sentiq.client import Sentiq
from sentiq.command.exits import OK, UsageError

View = Callable[[Namespace, Sentiq, Console], None]


def view(options: Namespace, client: Sentiq, console: Console) -> int:
    """Print what the subcommand asks for; return the exit code."""
    _VIEWS[options.command](options, client, console)
    return OK


def _jobs(options: Namespace, client: Sentiq, console: Console) -> None:
    if options.limit < 1:
        raise UsageError("--limit is less than 1. Give the number of jobs to list.")
    jobs = [job.raw for job in itertools.islice(client.jobs(status=options.status), options.limit)]
    if options.json:
        _print_json(jobs)
        return
    rows = [
        (job["id"], _state(job), _done(job), job["model_name"], job["created_at"].partition(".")[0])
        for job in jobs
    ]
    console.print(_table(("job", "status", "texts", "model", "created"), rows))


def _show(options: Namespace, client: Sentiq, console: Console) -> None:
    job = client.job(options.id)
    summary = job.summary()
    if options.json:
        _print_json({**job.raw, "summary": summary})
        return
    _print_job(job.raw, console)
    rows = [(each["label"], f"{each['items']:,}", f"{each['share']:.1%}") for each in summary["labels"]]
    rows += [(code, f"{count:,}", "") for code, count in summary["error_codes"].items()]
    console.print(_table(("label", "texts", "share"), rows))


def _cancel(options: Namespace, client: Sentiq, console: Console) -> None:
    job = client.job(options.id).cancel()
    if options.json:
        _print_json(job.raw)
        return
    _print_job(job.raw, console)


def _models(options: Namespace, client: Sentiq, console: Console) -> None:
    models = client.models()
    if options.json:
        _print_json(models)
        return
    rows = [
        (
            each["name"]
            + (" (default)" if each["default"] else "")
            + (" (retiring)" if each["retiring"] else ""),
            f"{each['id']} {each['revision']}",
            ", ".join(label["id"] for label in each["labels"]),
            str(each["workers"]["alive"]),
        )
        for each in models
    ]
    console.print(_table(("model", "pack", "labels", "workers"), rows))


def _info(options: Namespace, client: Sentiq, console: Console) -> None:
    info = client.info()
    if options.json:
        _print_json(info)
        return
    rows = [("service", client.url)]
    rows += [
        ("model", f"{each['name']}: {each['id']} {each['revision']} ({each['engine']})")
        for each in info["models"]
    ]
    rows += [(name, f"{value:,}") for name, value in info["limits"].items()]
    console.print(_table(("", ""), rows, header=False))


def _queue(options: Namespace, client: Sentiq, console: Console) -> None:
    queue = client.queue()
    if options.json:
        _print_json(queue)
        return
    rows = [
        (
            name,
            f"{each['pending_items']:,}",
            f"{each['items_per_s'] or 0:,.0f}",
            f"{each['wait_s'] or 0:,.0f} s",
        )
        for name, each in queue["classes"].items()
    ]
    console.print(_table(("class", "waiting", "texts/s", "wait"), rows))
    console.print(f"{queue['workers']['alive']} workers with {queue['workers']['children']} children")
    for pause in queue.get("paused", ()):
        console.print(Text(f"paused: {_pause(pause)}"))


def _usage(options: Namespace, client: Sentiq, console: Console) -> None:
    usage = client.usage(since=options.since, until=options.until, by=options.by)
    if options.json:
        _print_json(usage)
        return
    names = ("items", "errors", "characters", "tokens", "model_seconds")
    rows = [
        (each["period"] or each["model"], *(f"{each[name]:,}" for name in names)) for each in usage["data"]
    ]
    rows.append(("all", *(f"{usage['total'][name]:,}" for name in names)))
    console.print(_table((options.by, "texts", "errors", "characters", "tokens", "model seconds"), rows))
    console.print(f"{usage['first']} to {usage['last']}, UTC")


def _print_job(job: Mapping[str, Any], console: Console) -> None:
    rows = [
        (name, str(job[name]))
        for name in ("id", "status", "model_name", "created_at", "expires_at")
        if job[name]
    ]
    if paused := job.get("paused"):
        rows += [("paused", f"by an operator: {_pause(paused)}")]
    rows += [("texts", _done(job))]
    rows += [(name, value) for name, value in job["metadata"].items()]
    rows += [("error", job["error"]["code"])] if job["error"] else []
    console.print(_table(("", ""), rows, header=False))


def _state(job: Mapping[str, Any]) -> str:
    """Return the status, and whether an operator has paused the job; older services do not say that."""
    return f"{job['status']}, paused" if job.get("paused") else str(job["status"])


def _pause(pause: Mapping[str, Any]) -> str:
    what = f"{pause['kind']} {pause['name']}".rstrip()
    return f"{what}, since {pause['since']}"


def _done(job: Mapping[str, Any]) -> str:
    counts = job["counts"]
    done = f"{counts['total'] - counts['pending']:,} of {counts['total']:,}"
    return done + (f", {counts['failed']:,} failed" if counts["failed"] else "")


def _table(names: Iterable[str], rows: Iterable[Iterable[str]], *, header: bool = True) -> Table:
    """Return a table of texts; what callers named is shown without control characters."""
    table = Table(box=None, pad_edge=False, show_header=header)
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(
            *(Text("".join(each if each.isprintable() else "�" for each in str(cell))) for cell in row)
        )
    return table


def _print_json(body: Any) -> None:
    print(json.dumps(body, ensure_ascii=False, indent=2))


_VIEWS: Mapping[str, View] = {
    "jobs": _jobs,
    "show": _show,
    "cancel": _cancel,
    "models": _models,
    "info": _info,
    "queue": _queue,
    "usage": _usage,
}
