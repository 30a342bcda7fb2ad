"""Runs the Spark example of docs/client.md in a process of its own, as a driver, and prints its rows as JSON.

The first line of stdin is an object: `example`, `rows` of a number and a text or None, `folder`, and perhaps
`run`, which names the run. With `run` the worker of a task is killed once, when it has scored two frames.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import SparkSession

ROWS_OF_A_FRAME = 5
PARTITIONS = 2

Frames = Iterator[pd.DataFrame]


def session(folder: Path) -> SparkSession:
    """Start Spark with one core, an event log in the folder, and a second attempt at a task that fails."""
    (folder / "events").mkdir()
    options = {
        "spark.driver.memory": "512m",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": str(folder / "events"),
        "spark.local.dir": str(folder),
        "spark.log.level": "INFO",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(ROWS_OF_A_FRAME),
        "spark.ui.enabled": "false",
    }
    return SparkSession.builder.master("local[1,2]").config(map=options).getOrCreate()


def killed_once(scored: Callable[[Frames], Frames], marker: Path) -> Callable[[Frames], Frames]:
    """Return the function, whose process is killed behind two frames unless the marker is there."""

    def killed(frames: Frames) -> Frames:
        for number, frame in enumerate(scored(frames)):
            if number == 1 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield frame

    return killed


def main() -> None:
    given = json.loads(sys.stdin.readline())
    folder = Path(given["folder"])
    spark = session(folder)
    rows = spark.createDataFrame(given["rows"], "number int, text string").repartitionByRange(
        PARTITIONS, "number"
    )
    names: dict[str, Any] = {"reviews": rows}
    exec(compile(given["example"], "docs/client.md", "exec"), names)  # noqa: S102  our own document
    scored = names["scored"]
    if run := given.get("run"):
        scored = rows.mapInPandas(killed_once(names["scoring"](run), folder / "killed"), names["columns"])
    print(json.dumps([row.asDict() for row in scored.collect()]))  # noqa: T201  what the test reads
    spark.stop()


if __name__ == "__main__":
    main()
