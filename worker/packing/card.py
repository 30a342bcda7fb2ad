"""The card of a pack: a table of what it is, how it was measured, and its files."""

from __future__ import annotations

from collections.abc import Iterable

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


def card(pack: Pack) -> str:
    """Return the card as text: a block each for the pack, its measures and its files."""
    facts = [
        ("model", f"{pack.id} {pack.revision}"),
        ("architecture", _architecture(pack)),
        ("longest text", f"{pack.max_tokens} tokens"),
        ("reads", "pairs of an aspect and a text" if pack.input == "pair" else "texts"),
        ("labels", ", ".join(f"{label.id} {label.label_zh}" for label in pack.labels)),
        ("precision", pack.precision),
        ("reason", pack.reason or "not recorded"),
        ("temperature", f"{pack.temperature:g}"),
        ("uncertain below", f"{pack.uncertain_below:g}"),
    ]
    files = [
        (name, f"{_size(pack, name)}, sha256 {digest[:12]}…") for name, digest in sorted(pack.files.items())
    ]
    return "\n\n".join(_table(rows) for rows in (facts, list(_measures(pack)), files) if rows)


def _architecture(pack: Pack) -> str:
    layers, width, vocabulary = (pack.architecture.get(name) for name in ("layers", "width", "vocabulary"))
    return f"BERT, {layers} layers x {width} wide, vocabulary of {vocabulary}"


def _measures(pack: Pack) -> Iterable[tuple[str, str]]:
    for name, (title, form) in MEASURES.items():
        if name in pack.measured:
            yield title, _formatted(name, form, pack.measured[name])


def _formatted(name: str, form: str, value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return form.format(value / MIB if name.endswith("_bytes") else value)


def _size(pack: Pack, name: str) -> str:
    return f"{pack.path(name).stat().st_size / MIB:.2f} MiB"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"  {title:<26}  {value}" for title, value in rows)
