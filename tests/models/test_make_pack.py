"""A StructBERT-layout checkpoint becomes a pack that answers like it. Needs torch, nncf and safetensors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("nncf")

from safetensors.torch import save_file  # noqa: E402

from worker.classifier import Classifier  # noqa: E402
from worker.engines import build_engine  # noqa: E402
from worker.engines.bert import BertClassifier, BertShape  # noqa: E402
from worker.packs import PackError, load_pack  # noqa: E402
from worker.packs.make import Recipe, export_graph, make_pack  # noqa: E402
from worker.packs.reference import compress, decompress  # noqa: E402
from worker.packs.source import read_source  # noqa: E402
from worker.tokenizer import SPECIAL_TOKENS  # noqa: E402

TEXTS = ["这家店很好", "太差了", "还可以吧", "味道不错但是太贵", "物流快"] * 4
PIECES = [*SPECIAL_TOKENS, *sorted(set("".join(TEXTS)))]
SHAPE = BertShape(vocabulary=len(PIECES), positions=32, width=32, layers=2, heads=2, intermediate=64)


def write_source(directory: Path, prefix: str = "bert.", head: str = "classifier.", **config: Any) -> Path:
    """A random checkpoint whose keys carry the given prefixes."""
    directory.mkdir()
    torch.manual_seed(3)
    weights = {}
    for name, value in BertClassifier(SHAPE).state_dict().items():
        renamed = name.replace("bert.", prefix, 1) if name.startswith("bert.") else head + name.split(".")[1]
        weights[renamed] = value * 2
    weights[prefix + "embeddings.position_ids"] = torch.arange(32)[None]
    save_file(weights, directory / "model.safetensors")
    numbers = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    (directory / "config.json").write_text(json.dumps(numbers | config), "utf-8")
    (directory / "vocab.txt").write_text("\n".join(PIECES) + "\n", "utf-8")
    return directory


@pytest.fixture(scope="module")
def pack_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("make")
    labelled = [(text, 1) for text in TEXTS]
    make_pack(Recipe(write_source(root / "source"), root / "pack", "tiny", "1", TEXTS, labelled))
    return root / "pack"


def test_a_made_pack_is_whole_and_measured(pack_directory: Path) -> None:
    pack = load_pack(pack_directory)
    assert pack.max_tokens == 32
    assert pack.measured["texts"] == len(TEXTS)
    assert pack.measured["max_probability_drift"] < 0.05
    assert "dev_accuracy" in pack.measured


def test_torch_and_openvino_fp32_agree(pack_directory: Path, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    pack = load_pack(pack_directory)
    reference = build_engine(pack, "torch", device="cpu", threads=1)
    source = read_source(write_source(tmp_path / "source"))
    graph = export_graph(source.shape, decompress(compress(source.weights)))
    exact = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ids = np.array([[2, 7, 8, 9, 3, 0], [2, 10, 11, 12, 13, 3]], np.int64)
    mask = (ids > 0).astype(np.int64)
    np.testing.assert_allclose(exact([ids, mask])[0], reference.logits(ids, mask), atol=1e-5)


def test_the_served_graph_stays_close_to_the_reference(pack_directory: Path) -> None:
    pack = load_pack(pack_directory)
    served, exact = (
        Classifier(pack, build_engine(pack, name, device="cpu", threads=1), batch_tokens=512).classify(TEXTS)
        for name in ("openvino", "torch")
    )
    drift = [abs(a.positive_prob - b.positive_prob) for a, b in zip(served, exact, strict=True)]
    assert max(drift) < 0.05


@pytest.mark.parametrize(("prefix", "head"), [("encoder.", "head.classifier."), ("", "classifier.")])
def test_every_prefix_in_circulation_is_read(tmp_path: Path, prefix: str, head: str) -> None:
    plain = read_source(write_source(tmp_path / "plain"))
    other = read_source(write_source(tmp_path / "other", prefix, head))
    assert plain.shape == other.shape == SHAPE
    assert plain.weights.keys() == other.weights.keys()


def test_a_source_that_asks_to_run_code_is_refused(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    (source / "configuration.json").write_text('{"allow_remote": true}', "utf-8")
    with pytest.raises(PackError, match=r"configuration\.json: asks for allow_remote"):
        read_source(source)


def test_a_source_with_its_labels_the_other_way_round_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"config\.json: label 0 is 'positive'"):
        read_source(write_source(tmp_path / "source", id2label={"0": "positive", "1": "negative"}))


def test_a_vocabulary_larger_than_the_embeddings_is_refused(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    (source / "vocab.txt").write_text("\n".join([*PIECES, "多"]) + "\n", "utf-8")
    with pytest.raises(PackError, match=r"vocab\.txt: has \d+ tokens"):
        read_source(source)


def test_a_source_without_weights_is_refused(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    (source / "model.safetensors").unlink()
    with pytest.raises(PackError, match=r"pytorch_model\.bin: both missing"):
        read_source(source)


def test_a_pack_without_its_reference_says_so_to_the_torch_engine(tmp_path: Path) -> None:
    recipe = Recipe(write_source(tmp_path / "source"), tmp_path / "pack", "tiny", "1", TEXTS, reference=False)
    with pytest.raises(PackError, match=r"reference\.safetensors: not part of pack tiny"):
        build_engine(make_pack(recipe), "torch", device="cpu", threads=1)
