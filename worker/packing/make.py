"""Make a pack: a StructBERT-layout checkpoint to an OpenVINO graph that was measured against its original."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import openvino

from worker.packing.evaluation import choose
from worker.packing.graph import export_graph, joined, quantise
from worker.packing.measure import encode
from worker.packing.source import Source, read_source
from worker.packs.pack import LABELS, PACK_FILE, REFERENCE_FILE, Pack, file_sha256, write_pack
from worker.packs.reference import Reference, write_reference

GRAPH_FILES = ("model.xml", "model.bin")
MIN_AGREEMENT = 0.99

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What to make a pack from. `labelled` (text, 1 = positive), or else `calibration`, measures it."""

    source: Path
    out: Path
    id: str
    revision: str
    calibration: Sequence[str]
    labelled: Sequence[tuple[str, int]] = ()
    max_tokens: int = 512
    min_agreement: float = MIN_AGREEMENT
    reference: Reference = Reference.EXACT


def make_pack(recipe: Recipe, between: Callable[[], None] = lambda: None) -> Pack:
    """Put the pack at `recipe.out`, whole or not at all. Raises PackError when the source cannot be used.

    `between` is called between the steps; what it raises ends the making.
    """
    logger.info("reading %s", recipe.source)
    source = read_source(recipe.source)
    recipe.out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=recipe.out.parent, prefix=f".{recipe.out.name}-") as workshop:
        draft = Path(workshop) / "pack"
        draft.mkdir()
        return _install(_draft(recipe, source, draft, between), recipe.out)


def _draft(recipe: Recipe, source: Source, draft: Path, between: Callable[[], None]) -> Pack:
    shutil.copyfile(source.vocabulary, draft / "vocab.txt")
    weights = write_reference(source.weights, recipe.reference, draft / REFERENCE_FILE)
    exact, quantised = _candidates(recipe, replace(source, weights=weights), draft, between)
    texts = [text for text, _ in recipe.labelled] or recipe.calibration
    rows = encode(texts, source.vocabulary, exact.max_tokens)
    chosen = choose(exact, quantised, rows, [label for _, label in recipe.labelled], recipe.min_agreement)
    between()
    logger.info("%s is served: %s", chosen.precision, chosen.reason)
    for name in GRAPH_FILES:
        chosen.path(name).replace(draft / name)
    for candidate in (exact, quantised):
        shutil.rmtree(candidate.directory)
    files = {path.name: file_sha256(path) for path in sorted(draft.iterdir())}
    pack = replace(chosen, directory=draft, files=files)
    write_pack(pack)
    return pack


def _candidates(
    recipe: Recipe, source: Source, draft: Path, between: Callable[[], None]
) -> tuple[Pack, Pack]:
    """The fp32 and the int8 graph, each in a directory of its own."""
    base = Pack(
        directory=draft,
        id=recipe.id,
        revision=recipe.revision,
        labels=LABELS,
        max_tokens=min(recipe.max_tokens, source.shape.positions),
        precision="fp32",
        architecture=asdict(source.shape),
        temperature=1.0,
        files=dict.fromkeys(GRAPH_FILES, ""),
        measured={},
    )
    rows = joined(encode(recipe.calibration, source.vocabulary, base.max_tokens), base.max_tokens)
    logger.info("exporting to OpenVINO")
    exact = _save(export_graph(source.shape, source.weights), base, "fp32")
    between()
    logger.info("quantising to int8 with %d texts, joined to %d", len(recipe.calibration), len(rows))
    graph = openvino.Core().read_model(exact.path("model.xml"))
    quantised = _save(quantise(graph, rows), base, "int8")
    between()
    return exact, quantised


def _save(graph: openvino.Model, base: Pack, precision: str) -> Pack:
    pack = replace(base, directory=base.directory / precision, precision=precision)
    pack.directory.mkdir()
    openvino.save_model(graph, pack.directory / "model.xml", compress_to_fp16=False)
    return pack


def _install(pack: Pack, out: Path) -> Pack:
    """Move the draft to its place: at once when that is free, else file by file, `pack.json` last."""
    if not out.exists():
        pack.directory.rename(out)
        return replace(pack, directory=out)
    # Workers map the weights into memory: a file that changes under them kills them, a new one does not.
    for name in (*pack.files, PACK_FILE):
        (pack.directory / name).replace(out / name)
    if REFERENCE_FILE not in pack.files:
        (out / REFERENCE_FILE).unlink(missing_ok=True)
    return replace(pack, directory=out)
