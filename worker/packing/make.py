"""Make a pack: convert a StructBERT-layout checkpoint to an OpenVINO graph and compare both."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import openvino

from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from worker.packing.comparison import encode
from worker.packing.evaluation import select_pack
from worker.packing.graph import export_graph, joined, quantise
from worker.packing.source import Source, read_source
from worker.packs.pack import PACK_FILE, REFERENCE_FILE, Pack, file_sha256, write_pack
from worker.packs.reference import Reference, write_reference

GRAPH_FILES = ("model.xml", "model.bin")
MIN_AGREEMENT = 0.99

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What to make a pack from. It is measured on `labelled` (text, 1 = positive), else on `calibration`."""

    source: Path
    out: Path
    id: str
    revision: str
    calibration: Sequence[str]
    labelled: Sequence[tuple[str, int]] = ()
    max_tokens: int = 512
    min_agreement: float = MIN_AGREEMENT
    reference: Reference = Reference.EXACT


def make_pack(recipe: Recipe, on_step: Callable[[], None] = lambda: None) -> Pack:
    """Return the pack, complete at `recipe.out`. Raises PackError, and then `recipe.out` is as before.

    `on_step` is called after each step; an exception from it stops the making.
    """
    logger.info("reading %s", recipe.source)
    source = read_source(recipe.source)
    recipe.out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=recipe.out.parent, prefix=f".{recipe.out.name}-") as workshop:
        draft = Path(workshop) / "pack"
        draft.mkdir()
        return _install(_draft(recipe, source, draft, on_step), recipe.out)


def _draft(recipe: Recipe, source: Source, draft: Path, on_step: Callable[[], None]) -> Pack:
    shutil.copyfile(source.vocabulary, draft / "vocab.txt")
    weights = write_reference(source.weights, recipe.reference, draft / REFERENCE_FILE)
    exact, quantised = _candidates(recipe, replace(source, weights=weights), draft, on_step)
    texts = [text for text, _ in recipe.labelled] or recipe.calibration
    rows = encode(texts, source.vocabulary, exact.max_tokens)
    labels = [label for _, label in recipe.labelled]
    selected = select_pack(exact, quantised, rows, labels, recipe.min_agreement)
    on_step()
    logger.info("%s is served: %s", selected.precision, selected.reason)
    for name in GRAPH_FILES:
        selected.path(name).replace(draft / name)
    for candidate in (exact, quantised):
        shutil.rmtree(candidate.directory)
    files = {path.name: file_sha256(path) for path in sorted(draft.iterdir())}
    pack = replace(selected, directory=draft, files=files)
    write_pack(pack)
    return pack


def _candidates(
    recipe: Recipe, source: Source, draft: Path, on_step: Callable[[], None]
) -> tuple[Pack, Pack]:
    """Return the fp32 and the int8 graph, each in a directory of its own."""
    base = Pack(
        directory=draft,
        id=recipe.id,
        revision=recipe.revision,
        labels=NEGATIVE_POSITIVE,
        max_tokens=min(recipe.max_tokens, source.shape.positions),
        precision="fp32",
        architecture=asdict(source.shape),
        temperature=1.0,
        files=dict.fromkeys(GRAPH_FILES, ""),
        measured={},
    )
    rows = joined(encode(recipe.calibration, source.vocabulary, base.max_tokens), base.max_tokens)
    logger.info("exporting to OpenVINO")
    exact = _save(export_graph(source.shape, source.weights, pairs=False), base, "fp32")
    on_step()
    logger.info("quantising to int8 with %d texts, joined to %d rows", len(recipe.calibration), len(rows))
    graph = openvino.Core().read_model(exact.path("model.xml"))
    quantised = _save(quantise(graph, rows), base, "int8")
    on_step()
    return exact, quantised


def _save(graph: openvino.Model, base: Pack, precision: str) -> Pack:
    pack = replace(base, directory=base.directory / precision, precision=precision)
    pack.directory.mkdir()
    openvino.save_model(graph, pack.directory / "model.xml", compress_to_fp16=False)
    return pack


def _install(pack: Pack, out: Path) -> Pack:
    """Move the draft to `out`: as a whole when `out` does not exist, else file by file, `pack.json` last."""
    if not out.exists():
        pack.directory.rename(out)
        return replace(pack, directory=out)
    # Workers map the weights into memory: overwriting a mapped file kills them, replacing it does not.
    for name in (*pack.files, PACK_FILE):
        (pack.directory / name).replace(out / name)
    if REFERENCE_FILE not in pack.files:
        (out / REFERENCE_FILE).unlink(missing_ok=True)
    return replace(pack, directory=out)
