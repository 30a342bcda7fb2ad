"""A pack as a person reads it."""

from collections.abc import Iterable

from worker.packs.pack import Pack

MIB = 2**20
FORMS = {
    "texts": ("texts measured on", "{:.0f}"),
    "agreement_with_fp32": ("int8 gives fp32's label", "{:.2%}"),
    "mean_probability_drift": ("probability drift, mean", "{:.5f}"),
    "max_probability_drift": ("probability drift, most", "{:.5f}"),
    "batch_invariant": ("same alone and in batches", ""),
    "speed_ratio": ("int8 against fp32, texts/s", "{:.2f}x"),
    "fp32_bytes": ("size of the fp32 graph", "{:.1f} MiB"),
    "int8_bytes": ("size of the int8 graph", "{:.1f} MiB"),
    "dev_accuracy": ("accuracy as served", "{:.4f}"),
    "dev_accuracy_fp32": ("accuracy of fp32", "{:.4f}"),
    "dev_accuracy_int8": ("accuracy of int8", "{:.4f}"),
}


def card(pack: Pack) -> str:
    """A table of what the pack is and how it was found to compare with its fp32 original."""
    facts = [
        ("model", f"{pack.id} {pack.revision}"),
        ("architecture", _architecture(pack)),
        ("reads", f"{pack.max_tokens} tokens"),
        ("labels", ", ".join(pack.labels)),
        ("arithmetic", pack.precision),
        ("because", pack.reason or "not recorded"),
        ("temperature", f"{pack.temperature:g}"),
        ("uncertain below", f"{pack.uncertain_below:g}"),
    ]
    files = [
        (name, f"{_size(pack, name)}, sha256 {digest[:12]}…") for name, digest in sorted(pack.files.items())
    ]
    return "\n\n".join(_table(rows) for rows in (facts, list(_measured(pack)), files) if rows)


def _architecture(pack: Pack) -> str:
    layers, width, vocabulary = (pack.architecture.get(name) for name in ("layers", "width", "vocabulary"))
    return f"BERT, {layers} layers x {width} wide, vocabulary of {vocabulary}"


def _measured(pack: Pack) -> Iterable[tuple[str, str]]:
    for name, (title, form) in FORMS.items():
        if name in pack.measured:
            yield title, _shown(name, form, pack.measured[name])


def _shown(name: str, form: str, value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return form.format(value / MIB if name.endswith("_bytes") else value)


def _size(pack: Pack, name: str) -> str:
    return f"{pack.path(name).stat().st_size / MIB:.2f} MiB"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"  {title:<26}  {value}" for title, value in rows)
