"""The card of a pack: a table of what it is, how it was measured, and its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from worker.packs.ngrams import read_ngrams
from worker.packs.pack import Pack

MIB = 2**20
# Title and format of each measure.
MEASURES = {
    "texts": ("texts measured", "{:.0f}"),
    "agreement_with_fp32": ("int8 agrees with fp32", "{:.2%}"),
    "mean_probability_drift": ("probability drift, mean", "{:.5f}"),
    "max_probability_drift": ("probability drift, maximum", "{:.5f}"),
    "batch_invariant": ("batch-invariant", ""),
    "speed_ratio": ("speed, int8 over fp32", "{:.2f}x"),
    "fp32_bytes": ("size of the fp32 graph", "{:.1f} MiB"),
    "int8_bytes": ("size of the int8 graph", "{:.1f} MiB"),
    "dev_accuracy": ("accuracy as served", "{:.4f}"),
    "dev_macro_f1": ("macro F1 as served", "{:.4f}"),
    "dev_accuracy_fp32": ("accuracy of fp32", "{:.4f}"),
    "dev_accuracy_int8": ("accuracy of int8", "{:.4f}"),
}

Rows = Iterable[tuple[str, str]]


def card(pack: Pack) -> str:
    """Return the card as text: a block each for the pack, its measures and its files. Raises PackError."""
    files = [
        (name, f"{_size(pack, name)}, sha256 {digest[:12]}…") for name, digest in sorted(pack.files.items())
    ]
    return "\n\n".join(_table(rows) for rows in (list(facts(pack)), list(measures(pack)), files) if rows)


def facts(pack: Pack) -> Iterator[tuple[str, str]]:
    """Yield the title and the text of each fact. Raises PackError."""
    yield "model", f"{pack.id} {pack.revision}"
    yield "architecture", _architecture(pack)
    if head := read_ngrams(pack):
        yield "n-gram head", f"{len(head.keys):,} n-grams"
    yield "longest text", f"{pack.max_tokens} tokens"
    yield "reads", "pairs of an aspect and a text" if pack.input == "pair" else "texts"
    yield "labels", ", ".join(f"{label.id} {label.label_zh}" for label in pack.labels)
    yield "precision", pack.precision
    yield "reason", pack.reason or "not recorded"
    yield "temperature", f"{pack.temperature:g}"
    yield "uncertain below", f"{pack.uncertain_below:g}"


def measures(pack: Pack) -> Iterator[tuple[str, str]]:
    """Yield the title and the value of each measure that the pack has."""
    for name, (title, form) in MEASURES.items():
        if name in pack.measured:
            yield title, _formatted(name, form, pack.measured[name])


def _architecture(pack: Pack) -> str:
    layers, width, vocabulary = (pack.architecture.get(name) for name in ("layers", "width", "vocabulary"))
    return f"BERT, {layers} layers x {width} wide, vocabulary of {vocabulary}"


def _formatted(name: str, form: str, value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return form.format(value / MIB if name.endswith("_bytes") else value)


def _size(pack: Pack, name: str) -> str:
    return f"{pack.path(name).stat().st_size / MIB:.2f} MiB"


def _table(rows: Rows) -> str:
    return "\n".join(f"  {title:<26}  {value}" for title, value in rows)
