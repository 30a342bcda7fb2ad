"""Make a pack: convert a StructBERT-layout checkpoint to an OpenVINO graph and compare both."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import openvino

from worker.evaluate.labelled import LabelledTexts
from worker.packing.evaluation import select_pack
from worker.packing.graph import export_graph, quantise
from worker.packing.inputs import as_inputs, encode, joined
from worker.packing.labels import read_input, read_labels
from worker.packing.source import Source, read_source
from worker.packing.training_texts import tokens_of
from worker.packs.pack import (
    NGRAMS_FILE,
    PACK_FILE,
    REFERENCE_FILE,
    Input,
    Pack,
    PackError,
    file_sha256,
    write_pack,
)
from worker.packs.reference import Reference, write_reference
from worker.packs.seen import SEEN_FILE, write_seen
from worker.scoring.batches import Row

GRAPH_FILES = ("model.xml", "model.bin")
MIN_AGREEMENT = 0.99

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What to make a pack from. It is measured on `labelled`, else on `calibration`, lines of texts.

    `labels`, a file, and `input` are read from the source where they are None. `training_texts` are files of
    texts that the model has learned from; without any the pack does not record which tokens it has seen.
    """

    source: Path
    out: Path
    id: str
    revision: str
    calibration: Sequence[str]
    labelled: LabelledTexts | None = None
    training_texts: Sequence[Path] = ()
    labels: Path | None = None
    input: Input | None = None
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
        return install(_draft(recipe, source, draft, on_step), recipe.out)


def _draft(recipe: Recipe, source: Source, draft: Path, on_step: Callable[[], None]) -> Pack:
    base = _base(recipe, source, draft)
    calibration = as_inputs(recipe.calibration, base.input)
    texts = recipe.labelled.inputs(base.input) if recipe.labelled else calibration
    labels = recipe.labelled.numbers(base.labels) if recipe.labelled else ()
    shutil.copyfile(source.vocabulary, draft / "vocab.txt")
    if NGRAMS_FILE in base.files:
        shutil.copyfile(recipe.source / NGRAMS_FILE, draft / NGRAMS_FILE)
    if recipe.training_texts:
        logger.info("reading the training texts")
        seen = tokens_of(recipe.training_texts, source.vocabulary)
        write_seen(seen, source.shape.vocabulary, draft / SEEN_FILE)
    weights = write_reference(source.weights, recipe.reference, draft / REFERENCE_FILE)
    rows = joined(encode(calibration, source.vocabulary, base.max_tokens), base.max_tokens, base.input)
    exact, quantised = _candidates(replace(source, weights=weights), base, rows, on_step)
    measured_on = encode(texts, source.vocabulary, base.max_tokens)
    selected = select_pack(exact, quantised, measured_on, labels, recipe.min_agreement)
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


def _base(recipe: Recipe, source: Source, draft: Path) -> Pack:
    """Return the pack before it has a graph. Raises PackError for labels or an input that do not fit."""
    reads = recipe.input or read_input(recipe.source)
    if reads == "pair" and source.shape.token_types < 2:  # noqa: PLR2004  a type for each part of a pair
        raise PackError("weights: token_type_embeddings has one row, and pairs need two")
    parts = [NGRAMS_FILE] if (recipe.source / NGRAMS_FILE).is_file() else []
    return Pack(
        directory=draft,
        id=recipe.id,
        revision=recipe.revision,
        labels=read_labels(recipe.source, source.shape.labels, recipe.labels),
        max_tokens=min(recipe.max_tokens, source.shape.positions),
        precision="fp32",
        architecture=asdict(source.shape),
        temperature=1.0,
        files=dict.fromkeys((*GRAPH_FILES, *parts), ""),
        measured={},
        input=reads,
    )


def _candidates(
    source: Source, base: Pack, rows: Sequence[Row], on_step: Callable[[], None]
) -> tuple[Pack, Pack]:
    """Return the fp32 graph, and the int8 graph with ranges from the rows, each in a directory of its own."""
    logger.info("exporting to OpenVINO")
    graph = export_graph(source.shape, source.weights, pairs=base.input == "pair")
    exact = _save(graph, base, "fp32")
    on_step()
    logger.info("quantising to int8 with %d rows of calibration texts", len(rows))
    graph = openvino.Core().read_model(exact.path("model.xml"))
    quantised = _save(quantise(graph, rows), base, "int8")
    on_step()
    return exact, quantised


def _save(graph: openvino.Model, base: Pack, precision: str) -> Pack:
    pack = replace(base, directory=base.directory / precision, precision=precision)
    pack.directory.mkdir()
    if NGRAMS_FILE in base.files:
        shutil.copyfile(base.path(NGRAMS_FILE), pack.directory / NGRAMS_FILE)
    openvino.save_model(graph, pack.directory / "model.xml", compress_to_fp16=False)
    return pack


def install(pack: Pack, out: Path) -> Pack:
    """Move the pack to `out`: as a whole when `out` does not exist, else file by file, `pack.json` last."""
    if not out.exists():
        pack.directory.rename(out)
        return replace(pack, directory=out)
    # Workers map the weights into memory: overwriting a mapped file kills them, replacing it does not.
    for name in (*pack.files, PACK_FILE):
        (pack.directory / name).replace(out / name)
    for name in {NGRAMS_FILE, REFERENCE_FILE, SEEN_FILE} - pack.files.keys():
        (out / name).unlink(missing_ok=True)
    return replace(pack, directory=out)
