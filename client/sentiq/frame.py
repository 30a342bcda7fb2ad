"""Verdicts as columns of a pandas DataFrame. pandas is imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import Unpack

from sentiq.models import Terms, Verdict

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
    idempotency_key: str | None = None,
    **terms: Unpack[Terms],
) -> pd.DataFrame:
    """Return a copy of a frame with the label, the confidence and the score of the texts in `column`.

    The index is kept. Where a text is missing or cannot be scored, the three cells are empty. A name that the
    frame has already gets the prefix `sentiq_`, as in the service's CSV.
    With an `idempotency_key` the texts are one job, which stays: the same call gets its verdicts again.
    Raises KeyError without the column, ValueError if that name is taken too or the model reads pairs, and
    TypeError if a cell is neither a text nor missing.
    """
    import pandas as pd  # noqa: PLC0415  optional

    fields = {"label": label, "confidence": confidence, "score": score}
    names = {field: _free(frame, name) for field, name in fields.items()}
    texts = _texts(frame, column)
    present = texts.notna()
    verdicts = _verdicts(client, list(texts[present]), idempotency_key, terms)
    if any(verdict.aspects for verdict in verdicts):
        raise ValueError("the model reads pairs, which have a label for each aspect: use score or submit")
    scored, places = frame.copy(), present.to_numpy().nonzero()[0]
    for field, name in names.items():
        cells: list[Any] = [None] * len(frame)
        for place, verdict in zip(places, verdicts, strict=True):
            cells[place] = getattr(verdict, field)
        dtype = "string" if field == "label" else "float64"
        scored[name] = pd.Series(cells, index=frame.index, dtype=dtype).array
    return scored


def _verdicts(client: Sentiq, texts: list[str], key: str | None, terms: Terms) -> list[Verdict]:
    """Return the verdicts on texts in their order, those of the job that the key names if there is one."""
    if key is None:
        return list(client.score(iter(texts), **terms))
    if not texts:
        return []
    return list(client.submit(texts, idempotency_key=key, **terms).wait().results())


def _texts(frame: pd.DataFrame, column: str) -> pd.Series[Any]:
    """Return the column, which the frame must have once."""
    if column not in frame.columns:
        raise KeyError(f"the frame has no column {column!r}")
    texts = frame[column]
    if texts.ndim != 1:
        raise ValueError(f"the frame has several columns {column!r}")
    return texts


def _free(frame: pd.DataFrame, name: str) -> str:
    """Return the name, with a prefix if the frame has it."""
    free = f"sentiq_{name}" if name in frame.columns else name
    if free in frame.columns:
        raise ValueError(f"the frame has columns {name!r} and {free!r}: name another, as in label='verdict'")
    return free
