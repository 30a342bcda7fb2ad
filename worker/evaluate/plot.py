"""Plot the confusion matrix and the reliability diagram of a pack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tasks.errors import SentiqError
from worker.evaluate.measures import Scored, calibration_error, reliability

SIZE_INCHES, DOTS_PER_INCH = (11, 5), 120
_MAX_CELLS_WITH_TEXT = 12 * 12
_BLUE, _GREY = "#2c6fbb", "#8a939c"
_MAX_LEVEL = 3  # labels whose names fit side by side
_DARK = 0.5  # share from which white text is readable
_HISTOGRAM_BINS = 25


class PlotUnavailableError(SentiqError):
    """matplotlib is not installed."""

    code = "plot_unavailable"


def require_matplotlib() -> Any:
    """Return `matplotlib.figure`. Raises PlotUnavailableError."""
    try:
        # Imported here: only --plot needs it.
        import matplotlib.figure  # noqa: PLC0415
    except ImportError as error:
        raise PlotUnavailableError(
            "--plot needs matplotlib, the extra `plot`: pip install -r requirements/plot.lock"
        ) from error
    return matplotlib.figure


def draw(scored: Scored, title: str, path: Path) -> None:
    """Write both plots to `path` as a PNG. Raises PlotUnavailableError or OSError."""
    figure = require_matplotlib().Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    figure.suptitle(title)
    left, right = figure.subfigures(1, 2)
    _draw_confusion(left.subplots(), scored)
    upper, lower = right.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _draw_reliability(upper, lower, scored)
    figure.savefig(path, format="png")


def _draw_confusion(axes: Any, scored: Scored) -> None:
    """Draw the counts by true label and verdict, shaded by their share of the true label."""
    counts = scored.confusion
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares) if shares.size <= _MAX_CELLS_WITH_TEXT else ():
        text = f"{counts[row, column]:,}\n{share:.1%}"
        axes.text(column, row, text, ha="center", va="center", color="white" if share > _DARK else "black")
    ticks, ids = range(len(scored.labels)), scored.labels.ids
    axes.set(title="Confusion matrix", xlabel="verdict", ylabel="label")
    level = len(ids) <= _MAX_LEVEL
    axes.set_xticks(ticks, ids, rotation=0 if level else 45)
    axes.set_yticks(ticks, ids, rotation=90 if level else 0, va="center")


def _draw_reliability(upper: Any, lower: Any, scored: Scored) -> None:
    """Draw accuracy over confidence, and the number of texts over confidence."""
    bins, lowest = reliability(scored), 1 / len(scored.labels)
    confidence = [part.confidence for part in bins]
    upper.plot([lowest, 1], [lowest, 1], color=_GREY, linestyle="--", label="perfectly calibrated")
    upper.plot(confidence, [part.accuracy for part in bins], color=_BLUE, marker="o", label="verdicts")
    upper.set(title=f"Reliability (ECE {calibration_error(scored):.3f})", ylabel="accuracy", ylim=(0, 1.05))
    upper.legend(loc="lower right")
    lower.hist(scored.confidence, bins=_HISTOGRAM_BINS, range=(lowest, 1), color=_BLUE, edgecolor="white")
    lower.set(xlabel="confidence", ylabel="texts", xlim=(lowest, 1.01))
