"""Check a pack's graph against the reference weights that it was made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.errors import SentiqError
from worker.packing.inputs import as_inputs, encode
from worker.packs.pack import REFERENCE_FILE, Pack, PackError

UNCHECKED = "agreement not checked"


@contextmanager
def with_reference(pack: Pack, source: Path | None) -> Iterator[Pack]:
    """Yield the pack with the weights of `source`, if given, as its reference. Raises PackError."""
    if source is None:
        yield pack
        return
    try:
        # Imported here: torch is installed only where packs are made or compared.
        from worker.packing.source import read_source  # noqa: PLC0415
        from worker.packs.reference import Reference, write_reference  # noqa: PLC0415
    except ImportError as error:
        raise PackError(f"reading a source needs {error.name}: make .venv/.models") from error
    with TemporaryDirectory(prefix="sentiq-") as folder:
        write_reference(read_source(source).weights, Reference.EXACT, Path(folder) / REFERENCE_FILE)
        for name in pack.files.keys() - {REFERENCE_FILE}:
            (Path(folder) / name).symlink_to(pack.path(name).resolve())
        yield replace(pack, directory=Path(folder), files={**pack.files, REFERENCE_FILE: ""})


def check_graph(pack: Pack, lines: Sequence[str], min_agreement: float) -> Iterator[str]:
    """Yield the results of the check on the texts of `lines`, a line each; see `as_inputs`.

    Raises PackError when too few labels agree or the graph depends on the batch.
    """
    if REFERENCE_FILE not in pack.files:
        yield f"{UNCHECKED}: the pack has no reference weights; name its checkpoint with --source DIR"
        return
    try:
        # Imported here: its libraries are installed only where packs are made or compared.
        from worker.packing import comparison  # noqa: PLC0415

        rows = encode(as_inputs(lines, pack.input), pack.path("vocab.txt"), pack.max_tokens)
        exact = comparison.load_batches(pack, rows[0][-1], "torch")
    except (SentiqError, ImportError) as error:
        yield f"{UNCHECKED}: {error}"
        return
    served = comparison.load_batches(pack, rows[0][-1])
    drift = comparison.measure_drift(
        comparison.score(exact, rows, "reference"), comparison.score(served, rows, pack.precision)
    )
    agreement = f"agrees with the reference on {drift.agreement:.2%} of {len(rows)} texts"
    if drift.agreement < min_agreement:
        raise PackError(f"model.bin: {agreement}, and {min_agreement:.2%} is required")
    yield f"{agreement}; probability drift {drift.mean:.5f} on average, {drift.max:.5f} at most"
    if not comparison.batch_invariant(served, rows):
        raise PackError("model.bin: depends on the batch: a text alone has other logits")
    yield "batch-invariant: each text has the same logits, bit for bit, alone and in batches"
