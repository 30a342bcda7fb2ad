"""`make demo`: start the stack on free ports, score the shipped reviews and print the verdicts."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from local.client import Client
from local.logs import Log
from local.ports import free_port
from local.processes import ROOT, ProcessDiedError
from local.redis_server import RedisUnavailableError
from local.run_directory import RunDirectoryError, open_log
from local.stack import Plan, Stack, StackError, interrupt_on_signals, running_stack
from local.up import face
from samples.shipped import Review, read_reviews
from tasks.console import replace_unencodable

_ROWS = 20
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
    reviews = read_reviews()
    with Client(stack.url) as client:
        with console.status("starting Redis, API and worker"):
            stack.await_api(client)
            stack.score(client, reviews[0].text)
        start = time.monotonic()
        items = _score(stack, client, [review.text for review in reviews], console)
        took = time.monotonic() - start
    console.print(_verdicts(reviews, items, console.width), "", _totals(reviews, items), "", sep="\n")
    console.print(
        "These reviews use hints, irony and contrast on purpose: they are a hard test for a small model."
    )
    failed = sum(1 for item in items if item["error"])
    rate = f"{len(items)} reviews in {took:.1f} s: {len(items) / took:.0f} a second"
    console.print(rate + (f", {failed} failed" if failed else ""))
    return failed


def _score(stack: Stack, client: Client, texts: list[str], console: Console) -> list[dict[str, Any]]:
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(texts))
        job = client.submit(texts)
        while job["counts"]["pending"]:
            stack.check()
            time.sleep(min(job["poll_after_ms"], 200) / 1000)
            job = client.job(job["id"])
            progress.update(bar, completed=len(texts) - job["counts"]["pending"])
    return client.results(job["id"])


def _verdicts(reviews: list[Review], items: list[dict[str, Any]], width: int) -> Table:
    """Return a table of some verdicts, evenly spaced; ✗ marks those that differ from the file."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "verdict", "conf.", "file", "text"):
        table.add_column(name, no_wrap=True)
    step = max(1, len(reviews) // _ROWS)
    for review, item in itertools.islice(zip(reviews, items, strict=True), 0, None, step):
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
        pairs = [pair for pair in zip(reviews, labels, strict=True) if domain in ("all", pair[0].domain)]
        given = [label for _, label in pairs]
        agree = sum(review.label == label for review, label in pairs) / len(pairs)
        counts = (str(len(pairs)), str(given.count("positive")), str(given.count("negative")))
        table.add_row(domain, *counts, f"{agree:.0%}")
    return table


if __name__ == "__main__":
    sys.exit(main())
