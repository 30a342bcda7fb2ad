"""Plot the confusion matrix and the reliability diagram of a pack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tasks.errors import SentiqError
from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from worker.evaluate.measures import Scored, calibration_error, reliability

SIZE_INCHES, DOTS_PER_INCH = (11, 5), 120
MIN_CONFIDENCE = 0.5  # of two labels
_BLUE, _GREY = "#2c6fbb", "#8a939c"
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
    for (row, column), share in np.ndenumerate(shares):
        text = f"{counts[row, column]:,}\n{share:.1%}"
        axes.text(column, row, text, ha="center", va="center", color="white" if share > _DARK else "black")
    ticks = range(len(NEGATIVE_POSITIVE.ids))
    axes.set(title="Confusion matrix", xlabel="verdict", ylabel="label")
    axes.set_xticks(ticks, NEGATIVE_POSITIVE.ids)
    axes.set_yticks(ticks, NEGATIVE_POSITIVE.ids, rotation=90, va="center")


def _draw_reliability(upper: Any, lower: Any, scored: Scored) -> None:
    """Draw accuracy over confidence, and the number of texts over confidence."""
    bins = reliability(scored)
    confidence = [part.confidence for part in bins]
    upper.plot(
        [MIN_CONFIDENCE, 1], [MIN_CONFIDENCE, 1], color=_GREY, linestyle="--", label="perfectly calibrated"
    )
    upper.plot(confidence, [part.accuracy for part in bins], color=_BLUE, marker="o", label="verdicts")
    upper.set(title=f"Reliability (ECE {calibration_error(scored):.3f})", ylabel="accuracy", ylim=(0, 1.05))
    upper.legend(loc="lower right")
    lower.hist(
        scored.confidence, bins=_HISTOGRAM_BINS, range=(MIN_CONFIDENCE, 1), color=_BLUE, edgecolor="white"
    )
    lower.set(xlabel="confidence", ylabel="texts", xlim=(MIN_CONFIDENCE, 1.01))
