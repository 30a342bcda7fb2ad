"""Make a pack: a StructBERT-layout checkpoint to an OpenVINO graph with static int8 arithmetic."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import nncf
import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.engines.bert import BertClassifier, BertShape
from worker.packs import LABELS, PACK_FILE, REFERENCE_FILE, REQUIRED_FILES, Pack, file_sha256, write_pack
from worker.packs.reference import compress, decompress, write_reference
from worker.packs.source import read_source
from worker.tokenizer import load_tokenizer

MIDPOINT = 0.5

Inputs = dict[str, NDArray[np.int64]]


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
    reference: bool = True


def make_pack(recipe: Recipe) -> Pack:
    """Write the pack into `recipe.out`. Raises PackError when the source cannot be used."""
    recipe.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=recipe.out.parent, prefix=recipe.out.name) as draft:
        pack = _draft(replace(recipe, out=Path(draft)))
        # Workers map the weights into memory: a file that changes under them kills them, a new one does not.
        for name in (*pack.files, PACK_FILE):
            (pack.directory / name).replace(recipe.out / name)
    return replace(pack, directory=recipe.out)


def _draft(recipe: Recipe) -> Pack:
    source = read_source(recipe.source)
    packed = compress(source.weights)
    weights = decompress(packed) if recipe.reference else source.weights
    if recipe.reference:
        write_reference(packed, recipe.out / REFERENCE_FILE)
    shutil.copyfile(source.vocabulary, recipe.out / "vocab.txt")
    limit = min(recipe.max_tokens, source.shape.positions)
    exact = export_graph(source.shape, weights)
    quantised = quantise(exact, list(encode(recipe.calibration, source.vocabulary, limit)))
    openvino.save_model(quantised, recipe.out / "model.xml", compress_to_fp16=True)
    pack = Pack(
        directory=recipe.out,
        id=recipe.id,
        revision=recipe.revision,
        labels=LABELS,
        max_tokens=limit,
        precision="int8",
        architecture=asdict(source.shape),
        temperature=1.0,
        files=_seal(recipe),
        measured=_measure(exact, recipe, limit),
    )
    write_pack(pack)
    return pack


def quantise(exact: openvino.Model, samples: Sequence[Inputs]) -> openvino.Model:
    """The graph in static int8, its activation ranges taken from the samples."""
    return nncf.quantize(
        exact,
        nncf.Dataset(samples),
        preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(samples),
    )


def export_graph(shape: BertShape, weights: dict[str, Tensor]) -> openvino.Model:
    """Graph with the inputs `ids` and `mask`, int64 (n, length), and the output `logits`, fp32 (n, 2)."""
    model = BertClassifier(shape).eval()
    model.load_state_dict(weights)
    example = torch.ones(2, 8, dtype=torch.int64)
    graph = openvino.convert_model(
        model,
        example_input=(example, example),
        input=[("ids", [-1, -1], np.int64), ("mask", [-1, -1], np.int64)],
    )
    for port, name in zip((*graph.inputs, *graph.outputs), ("ids", "mask", "logits"), strict=True):
        port.get_tensor().set_names({name})
    return graph


def encode(texts: Sequence[str], vocabulary: Path, limit: int) -> Iterator[Inputs]:
    """Graph inputs, one text each, cut to `limit` tokens."""
    for encoding in load_tokenizer(vocabulary).encode_batch_fast(list(texts)):
        ids = encoding.ids if len(encoding.ids) <= limit else [*encoding.ids[: limit - 1], encoding.ids[-1]]
        row = np.array([ids], np.int64)
        yield {"ids": row, "mask": np.ones_like(row)}


def _seal(recipe: Recipe) -> dict[str, str]:
    names = [*REQUIRED_FILES, REFERENCE_FILE] if recipe.reference else REQUIRED_FILES
    return {name: file_sha256(recipe.out / name) for name in names}


def _measure(exact: openvino.Model, recipe: Recipe, limit: int) -> dict[str, float]:
    """How the saved graph differs from fp32, on one text at a time."""
    texts = [text for text, _ in recipe.labelled] or list(recipe.calibration)
    rows = list(encode(texts, recipe.out / "vocab.txt", limit))
    reference = _positive(exact, rows)
    served = _positive(openvino.Core().read_model(recipe.out / "model.xml"), rows)
    drift = np.abs(reference - served)
    measured = {
        "texts": len(rows),
        "agreement_with_fp32": float(np.mean((reference >= MIDPOINT) == (served >= MIDPOINT))),
        "mean_probability_drift": float(drift.mean()),
        "max_probability_drift": float(drift.max()),
    }
    if recipe.labelled:
        labels = np.array([label for _, label in recipe.labelled])
        measured["dev_accuracy"] = float(np.mean((served >= MIDPOINT) == labels))
        measured["dev_accuracy_fp32"] = float(np.mean((reference >= MIDPOINT) == labels))
    return {name: round(value, 6) for name, value in measured.items()}


def _positive(graph: openvino.Model, rows: Sequence[Inputs]) -> NDArray[np.float64]:
    """Probability of `positive`, row by row, in fp32 arithmetic where the graph is not quantised."""
    compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    logits = np.array([compiled(row)["logits"][0] for row in rows], np.float64)
    return np.asarray(1 / (1 + np.exp(logits[:, 0] - logits[:, 1])))
