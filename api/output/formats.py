"""Results as a page of JSON, or as a stream of lines or CSV rows with constant memory."""

from __future__ import annotations

import csv
import errno
import io
import time
from collections.abc import Iterable, Iterator, Mapping

from pydantic_core import to_json

from api.output.columns import Cell, Row
from api.output.readers import HEARTBEAT_S, ItemReader, Walk, read_ahead
from api.output.serializers import item_json, json_blocks
from api.waiting.pacing import let_others_run
from tasks.cells import defused
from tasks.errors import SentiqError
from tasks.vocabulary.items import ItemResult, ItemStatus

_LINE_BATCH = 64


def json_page(walk: Walk, limit: int, status: ItemStatus | None = None) -> Iterator[bytes]:
    """Yield up to `limit` items of a walk, and the cursor of the next page, as JSON in blocks."""
    before = {"object": "list", "job_id": walk.job.id, "status": walk.job.status}
    items = map(item_json, read_ahead(walk, limit, status))
    return json_blocks(
        before, "data", items, lambda: {"complete": walk.cursor is None, "next_cursor": walk.cursor}
    )


def ndjson_lines(items: ItemReader, limit: int | None, status: ItemStatus | None) -> Iterator[bytes]:
    """Yield a line for each item, and a last one without which the answer is incomplete."""
    returned, failure = 0, None
    try:
        for batch in _batches(items, limit, status):
            yield b"".join(item_json(item) + b"\n" for item in batch) or b"\n"
            returned += len(batch)
        items.refresh()
        cursor = items.cursor
    except SentiqError as error:
        failure, cursor = error.code, None
    end = {"object": "end", "status": items.job.status, "returned": returned}
    end |= {"complete": cursor is None and failure is None, "next_cursor": cursor}
    yield to_json(end | ({"error": failure} if failure else {})) + b"\n"


def csv_rows(
    items: ItemReader,
    limit: int | None,
    status: ItemStatus | None,
    columns: Mapping[str, Cell],
    *,
    safe: bool = False,
) -> Iterator[bytes]:
    """Yield a header and a row for each item; `safe`: as a spreadsheet may open them.

    Rows have no end line. When they end before they should, the connection is closed without the last
    chunk, which HTTP clients notice.
    """
    yield _csv([columns], safe=safe)
    for batch in _batches(items, limit, status):
        rows = map(Row, batch)
        yield _csv(([cell(row) for cell in columns.values()] for row in rows), safe=safe) or b"\r\n"
    if items.cut:
        # gunicorn closes the connection on this error without a traceback in its log.
        raise BrokenPipeError(errno.EPIPE, "the rows end before the job does")


def _csv(rows: Iterable[Iterable[object]], *, safe: bool) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_written(value, safe=safe) for value in row] for row in rows)
    return text.getvalue().encode()


def _written(value: object, *, safe: bool) -> object:
    """Return a cell as it is written: strings as they are, other values as in JSON, null as nothing."""
    if isinstance(value, str):
        return defused(value) if safe else value
    return to_json(value).decode() if isinstance(value, (bool, list, dict)) else value


def _batches(items: ItemReader, limit: int | None, status: ItemStatus | None) -> Iterator[list[ItemResult]]:
    """Gather items that come quickly; yield an empty batch as a heartbeat while none come.

    Between two batches other requests run.
    """
    batch: list[ItemResult] = []
    left, written_at = limit, time.monotonic()
    for item in items:
        if item is not None and status in (None, item.status):
            batch.append(item)
            left = left and left - 1
        if len(batch) == _LINE_BATCH or left == 0 or (item is None and _is_due(batch, written_at)):
            yield batch
            # Neither a client that reads fast nor gzip, which holds batches back, makes a stream wait.
            let_others_run()
            batch, written_at = [], time.monotonic()
        if left == 0:
            return
    if batch:
        yield batch


def _is_due(batch: list[ItemResult], written_at: float) -> bool:
    return bool(batch) or time.monotonic() - written_at >= HEARTBEAT_S
