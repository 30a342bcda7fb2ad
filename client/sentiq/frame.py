"""Verdicts as columns of a pandas DataFrame. pandas is imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import Unpack

from sentiq.models import Terms

if TYPE_CHECKING:
    import pandas as pd

    from sentiq.client import Sentiq


def score_frame(  # noqa: PLR0913  one name for each column
    client: Sentiq,
    frame: pd.DataFrame,
    column: str,
    *,
    label: str = "label",
    confidence: str = "confidence",
    score: str = "score",
    **terms: Unpack[Terms],
) -> pd.DataFrame:
    """Return a copy of a frame with the label, the confidence and the score of the texts in `column`.

    The index is kept. Where a text is missing or cannot be scored, the three cells are empty.
    Raises KeyError without the column, ValueError if a name is taken or the model reads pairs, TypeError if
    a cell is neither a text nor missing.
    """
    import pandas as pd  # noqa: PLC0415  optional

    names = {"label": label, "confidence": confidence, "score": score}
    texts = _texts(frame, column, tuple(names.values()))
    present = texts.notna()
    verdicts = list(client.score(iter(texts[present]), **terms))
    if any(verdict.aspects for verdict in verdicts):
        raise ValueError("the model reads pairs, which have a label for each aspect: use score or submit")
    scored = frame.copy()
    for field, name in names.items():
        empty = pd.Series(pd.NA if field == "label" else float("nan"), index=frame.index)
        cells = empty.astype("string" if field == "label" else "float64")
        cells[present.to_numpy()] = [getattr(verdict, field) for verdict in verdicts]
        scored[name] = cells
    return scored


def _texts(frame: pd.DataFrame, column: str, names: tuple[str, ...]) -> pd.Series[Any]:
    """Return the column; check that the frame has it once, and none of the names."""
    if column not in frame.columns:
        raise KeyError(f"the frame has no column {column!r}")
    if taken := [name for name in names if name in frame.columns]:
        raise ValueError(f"the frame has a column {taken[0]!r}: name another, as in label='verdict'")
    texts = frame[column]
    if texts.ndim != 1:
        raise ValueError(f"the frame has several columns {column!r}")
    return texts
