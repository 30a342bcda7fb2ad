"""Check a pack again: its graph against the reference weights that it keeps."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.errors import SentiqError
from worker.engines.factory import build_engine
from worker.packs.pack import REFERENCE_FILE, Pack, PackError
from worker.scoring.batches import Batches

UNCHECKED = "agreement not checked"


@contextmanager
def with_reference(pack: Pack, source: Path | None) -> Iterator[Pack]:
    """The pack with the weights of `source` as its reference; as it is without one. Raises PackError."""
    if source is None:
        yield pack
        return
    try:
        # Not at the top: torch is installed only where packs are made or compared.
        from worker.packing.source import read_source  # noqa: PLC0415
        from worker.packs.reference import Reference, write_reference  # noqa: PLC0415
    except ImportError as error:
        raise PackError(f"reading a source needs {error.name}: make .venv/.models") from error
    with TemporaryDirectory(prefix="sentiq-") as folder:
        write_reference(read_source(source).weights, Reference.EXACT, Path(folder) / REFERENCE_FILE)
        for name in pack.files.keys() - {REFERENCE_FILE}:
            (Path(folder) / name).symlink_to(pack.path(name).resolve())
        yield replace(pack, directory=Path(folder), files={**pack.files, REFERENCE_FILE: ""})


def check_graph(pack: Pack, texts: Sequence[str], min_agreement: float) -> Iterator[str]:
    """Say what was found, a line each. Raises PackError when the graph does not answer as it should."""
    if REFERENCE_FILE not in pack.files:
        yield f"{UNCHECKED}: the pack keeps no reference weights; --source DIR names those it was made of"
        return
    try:
        reference = build_engine(pack, "torch", device="cpu", threads=1)
        # Not at the top: they are installed only where packs are made or compared.
        from worker.packing.measure import BATCH_TOKENS, batch_invariant, drift, encode, load_batches, score  # noqa: PLC0415
    except (SentiqError, ImportError) as error:
        yield f"{UNCHECKED}: {error}"
        return
    rows = encode(texts, pack.path("vocab.txt"), pack.max_tokens)
    served = load_batches(pack)
    exact = Batches(reference, max_tokens=pack.max_tokens, batch_tokens=BATCH_TOKENS)
    apart = drift(score(exact, rows, "reference"), score(served, rows, pack.precision))
    found = f"the label of the reference for {apart.agreement:.2%} of {len(rows)} texts"
    if apart.agreement < min_agreement:
        raise PackError(f"model.bin: gives {found}; {min_agreement:.2%} were asked for")
    yield f"{found}; probability differs by {apart.mean:.5f} on average, {apart.most:.5f} at most"
    if not batch_invariant(served, rows):
        raise PackError("model.bin: answers differently for a text alone and in a batch")
    yield "the same, bit for bit, alone and in batches"
