"""`make demo`: start the stack on free ports, score the shipped reviews, plain ones first, and print them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from sentiq import Sentiq

from local.logs import Log
from local.ports import free_port
from local.processes import ROOT, ProcessDiedError
from local.redis_server import RedisUnavailableError
from local.run_directory import RunDirectoryError, open_log
from local.stack import Plan, Stack, StackError, interrupt_on_signals, running_stack
from local.up import face
from samples.shipped import Review, read_plain, read_reviews
from tasks.console import replace_unencodable

_HARD_ROWS = 12
_POLL_S = 0.2
_RETRY_FOR_S = 10  # so that the end of a process shows soon
_OTHER_COLUMNS = 30  # width of all columns but the text


def main() -> int:
    """Run the demo; return 0 if every review has a verdict, 1 if not, 130 on Ctrl-C."""
    replace_unencodable()
    interrupt_on_signals()
    console = Console()
    try:
        file = open_log("demo")
    except RunDirectoryError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        with file, running_stack(Plan(free_port()), Log(file)) as stack:
            failed = _demo(stack, console)
    except KeyboardInterrupt:
        return 130
    except (RedisUnavailableError, ProcessDiedError, StackError) as error:
        print(f"\n{error}\nFull log: {Path(file.name).relative_to(ROOT)}", file=sys.stderr)
        return 1
    return 1 if failed else 0


def _demo(stack: Stack, console: Console) -> int:
    """Score the reviews and print the tables; return how many have no verdict."""
    plain, hard = read_plain(), read_reviews()
    with Sentiq(stack.url, retry_for=_RETRY_FOR_S) as client:
        with console.status("starting Redis, API and worker"):
            stack.await_api(client)
            stack.score(client, plain[0].text)
        start = time.monotonic()
        items = _score(stack, client, [review.text for review in [*plain, *hard]], console)
        took = time.monotonic() - start
    first, others = items[: len(plain)], items[len(plain) :]
    console.print("\n[bold]Plain reviews[/bold]", _verdicts(plain, first, console.width), sep="\n")
    step = len(hard) // _HARD_ROWS
    some = _verdicts(hard[::step], others[::step], console.width)
    console.print("\n[bold]Hard reviews: facts, irony and turns[/bold], some of them", some, "", sep="\n")
    console.print(_totals(hard, others), "", sep="\n")
    for kind, reviews, given in (("plain", plain, first), ("hard", hard, others)):
        agree = _agreement(reviews, [item.get("label") for item in given])
        console.print(f"{len(reviews)} {kind} reviews: {agree:.0%} of the verdicts agree with the file")
    failed = sum(1 for item in items if item["error"])
    rate = f"{len(items)} reviews in {took:.1f} s: {len(items) / took:.0f} a second"
    console.print(rate + (f", {failed} failed" if failed else ""))
    return failed


def _score(stack: Stack, client: Sentiq, texts: list[str], console: Console) -> list[dict[str, Any]]:
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(texts))
        job = client.submit(texts)
        while not job.finished:
            stack.check()
            time.sleep(_POLL_S)
            progress.update(bar, completed=job.refresh().counts.finished)
    return list(job.raw_results())


def _verdicts(reviews: list[Review], items: list[dict[str, Any]], width: int) -> Table:
    """Return a table of verdicts; ✗ marks those that differ from the file."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "verdict", "conf.", "file", "text"):
        table.add_column(name, no_wrap=True)
    for review, item in zip(reviews, items, strict=True):
        text = Text(review.text)
        text.truncate(width - _OTHER_COLUMNS, overflow="ellipsis")
        table.add_row(*_cells(review, item), text)
    return table


def _cells(review: Review, item: dict[str, Any]) -> tuple[str, str, str, str]:
    if item["error"]:
        return "⚠", item["error"]["code"], "", ""
    agrees = "✓" if item["label"] == review.label else "✗"
    return face(item["label"]), item["label"], f"{item['confidence']:.0%}", agrees


def _totals(reviews: list[Review], items: list[dict[str, Any]]) -> Table:
    """Return a table of the verdicts by domain, with the share that agrees with the file."""
    table = Table(box=None, pad_edge=False)
    for name in ("domain", "reviews", "positive", "negative", "agree"):
        table.add_column(name, justify="left" if name == "domain" else "right")
    labels = [item.get("label") for item in items]
    for domain in [*dict.fromkeys(review.domain for review in reviews), "all"]:
        places = [place for place, review in enumerate(reviews) if domain in ("all", review.domain)]
        given = [labels[place] for place in places]
        agree = _agreement([reviews[place] for place in places], given)
        counts = (str(len(places)), str(given.count("positive")), str(given.count("negative")))
        table.add_row(domain, *counts, f"{agree:.0%}")
    return table


def _agreement(reviews: list[Review], labels: list[str | None]) -> float:
    """Return the share of labels that are those of the reviews."""
    return sum(review.label == label for review, label in zip(reviews, labels, strict=True)) / len(reviews)


if __name__ == "__main__":
    sys.exit(main())
