"""A StructBERT-layout checkpoint becomes a pack with the same verdicts. Needs torch, nncf, safetensors."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("nncf")

from safetensors.torch import save_file  # noqa: E402

from tests.conftest import INT8_TOLERANCE  # noqa: E402
from tests.models.sources import CONFIG, SHAPE, TEXTS, set_json, weights, write_source  # noqa: E402
from worker.engines.factory import build_engine  # noqa: E402
from worker.evaluate.labelled import read_labelled  # noqa: E402
from worker.packing.__main__ import main  # noqa: E402
from worker.packing.graph import export_graph  # noqa: E402
from worker.packing.inputs import joined  # noqa: E402
from worker.packing.make import Recipe, make_pack  # noqa: E402
from worker.packing.source import read_source  # noqa: E402
from worker.packs.pack import Pack, PackError, load_pack, write_pack  # noqa: E402
from worker.packs.reference import Reference, compress, decompress, read_reference  # noqa: E402
from worker.packs.seen import SEEN_FILE, read_seen  # noqa: E402
from worker.scoring.classifier import Classifier  # noqa: E402

LABELLED = "text,label\n" + "".join(f"{text},{int('差' not in text)}\n" for text in TEXTS)


def recipe(root: Path) -> Recipe:
    return Recipe(write_source(root / "source"), root / "pack", "tiny", "1", TEXTS)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """A pack of int8 with exact reference weights, measured on labelled texts."""
    root = tmp_path_factory.mktemp("make")
    labelled = root / "labelled.csv"
    labelled.write_text(LABELLED, "utf-8")
    made = make_pack(replace(recipe(root), labelled=read_labelled(labelled), min_agreement=0.5))
    labelled.unlink()
    return made


def test_a_made_pack_is_whole_and_measured(pack: Pack) -> None:
    loaded = load_pack(pack.directory)
    assert loaded == pack
    assert loaded.max_tokens == 32
    assert loaded.precision == "int8"
    assert "int8 agrees with fp32 on" in loaded.reason
    assert loaded.measured["texts"] == len(TEXTS)
    assert loaded.measured["max_probability_drift"] < 0.05 + INT8_TOLERANCE
    assert loaded.measured["batch_invariant"] is True
    assert loaded.measured["int8_bytes"] == sum(
        loaded.path(name).stat().st_size for name in ("model.xml", "model.bin")
    )
    assert loaded.measured["fp32_bytes"] > 0
    assert loaded.measured["speed_ratio"] > 0
    assert loaded.temperature != 1.0
    assert 0 < loaded.measured["dev_macro_f1"] <= 1
    assert {"dev_accuracy", "dev_accuracy_fp32", "dev_accuracy_int8"} <= loaded.measured.keys()
    assert sorted(path.name for path in pack.directory.iterdir()) == sorted([*pack.files, "pack.json"])
    assert {path.name for path in pack.directory.parent.iterdir()} == {"source", "pack"}


def test_sums_of_int8_products_fit_the_16_bits_of_older_processors(pack: Pack) -> None:
    """Two products of an activation of at most 255 are added before they are widened."""
    graph = openvino.Core().read_model(pack.path("model.xml"))
    constants = [node for node in graph.get_ordered_ops() if node.get_type_name() == "Constant"]
    matrices = [node for node in constants if node.get_element_type() == openvino.Type.i8]
    # The table of embeddings is looked up, not multiplied: it may have all 8 bits.
    multiplied = [node.data for node in matrices if node.get_output_shape(0)[0] != SHAPE.vocabulary]
    assert len(multiplied) >= 6 * SHAPE.layers
    assert all(2 * 255 * int(np.abs(part.astype(np.int64)).max()) < 2**15 for part in multiplied)


def test_the_exact_reference_is_the_source_bit_for_bit(pack: Pack) -> None:
    source = read_source(pack.directory.parent / "source")
    kept = read_reference(pack.path("reference.safetensors"))
    assert kept.keys() == source.weights.keys()
    assert all(torch.equal(kept[name], source.weights[name]) for name in kept)


def test_the_compact_reference_is_what_the_graph_was_made_of(tmp_path: Path) -> None:
    compact = make_pack(replace(recipe(tmp_path), reference=Reference.COMPACT, min_agreement=1.01))
    assert compact.precision == "fp32"
    served, exact = probabilities(compact, "openvino"), probabilities(compact, "torch")
    np.testing.assert_allclose(served, exact, atol=1e-6)
    rounded = decompress(compress(read_source(tmp_path / "source").weights))
    kept = read_reference(compact.path("reference.safetensors"))
    assert all(torch.equal(kept[name], rounded[name]) for name in kept)


def test_a_pack_without_its_reference_says_so_to_the_torch_engine(tmp_path: Path) -> None:
    without = make_pack(replace(recipe(tmp_path), reference=Reference.NONE, min_agreement=0.5))
    with pytest.raises(PackError, match=r"reference\.safetensors: not part of pack tiny"):
        build_engine(without, "torch", device="cpu", threads=1)


def test_int8_that_drifts_too_far_is_not_served(tmp_path: Path) -> None:
    exact = make_pack(replace(recipe(tmp_path), min_agreement=1.01))
    assert exact.precision == "fp32"
    assert exact.reason.startswith("int8 agrees with fp32 on only ")
    assert exact.reason.endswith("101.00% is required")
    assert exact.path("model.bin").stat().st_size < exact.measured["fp32_bytes"]
    np.testing.assert_allclose(probabilities(exact, "openvino"), probabilities(exact, "torch"), atol=1e-6)


def test_without_labelled_texts_nothing_is_calibrated(tmp_path: Path) -> None:
    made = make_pack(replace(recipe(tmp_path), min_agreement=0.5))
    assert (made.temperature, made.uncertain_below) == (1.0, 0.75)
    assert "dev_accuracy" not in made.measured


def test_a_pack_that_is_there_is_replaced(tmp_path: Path) -> None:
    there = replace(recipe(tmp_path), min_agreement=0.5)
    make_pack(there)
    (there.out / "CARD.md").write_text("kept", "utf-8")
    make_pack(replace(there, revision="2", reference=Reference.NONE))
    assert load_pack(there.out).revision == "2"
    assert not (there.out / "reference.safetensors").exists()
    assert (there.out / "CARD.md").exists()


def test_the_tokens_of_the_training_texts_are_recorded(tmp_path: Path) -> None:
    table, lines = tmp_path / "train.csv.gz", tmp_path / "more.txt"
    table.write_bytes(gzip.compress("text,label\n好好,1\n".encode()))
    lines.write_text("差\n", "utf-8")
    given = replace(recipe(tmp_path), training_texts=[table, lines], min_agreement=0.5)
    made = make_pack(given)
    pieces = made.path("vocab.txt").read_text("utf-8").split("\n")
    seen = {pieces[number] for number, each in enumerate(read_seen(made) or ()) if each}
    assert seen - {"[CLS]", "[SEP]"} == {"好", "差"}
    again = make_pack(replace(given, training_texts=()))
    assert read_seen(load_pack(again.directory)) is None
    assert not (again.directory / SEEN_FILE).exists()


def test_a_source_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    refused = recipe(tmp_path)
    (refused.source / "vocab.txt").unlink()
    with pytest.raises(PackError):
        make_pack(refused)
    assert list(tmp_path.iterdir()) == [refused.source]


def test_torch_and_openvino_fp32_agree(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    source = read_source(write_source(tmp_path / "source"))
    from worker.engines.bert import BertClassifier  # noqa: PLC0415  after importorskip

    model = BertClassifier(SHAPE).eval()
    model.load_state_dict(source.weights)
    graph = export_graph(source.shape, source.weights, pairs=False)
    exact = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ids = np.array([[2, 7, 8, 9, 3, 0], [2, 10, 11, 12, 13, 3]], np.int64)
    mask = (ids > 0).astype(np.int64)
    with torch.inference_mode():
        expected = model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    np.testing.assert_allclose(exact([ids, mask])[0], expected, atol=1e-5)


def test_calibration_rows_are_joined_up_to_the_limit() -> None:
    rows = [[2, 10, 11, 3], [2, 12, 3], [2, 13, 14, 15, 3]]
    assert joined(rows, 6) == [[2, 10, 11, 12, 3], [2, 13, 14, 15, 3]]
    assert joined(rows, 8) == [[2, 10, 11, 12, 13, 14, 15, 3]]


def test_the_command_makes_shows_and_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_source(tmp_path / "my-model")
    (tmp_path / "texts").write_text("\n".join(TEXTS), "utf-8")
    texts = ("--calibration", str(tmp_path / "texts"), "--min-agreement", "0.5")
    assert main(["make", "--source", str(source), "--out", str(tmp_path / "pack"), *texts]) == 0
    printed = capsys.readouterr().out
    made = load_pack(tmp_path / "pack")
    assert made.id == "my-model"
    assert len(made.revision) == 12
    for part in ("my-model", "int8 agrees with fp32", "probability drift, maximum", "x\n", "MiB", "yes"):
        assert part in printed
    assert main(["verify", str(tmp_path / "pack"), *texts]) == 0
    assert "agrees with the reference on" in capsys.readouterr().out
    set_json(source / "config.json", CONFIG | {"model_type": "gpt2"})
    assert main(["make", "--source", str(source), "--out", str(tmp_path / "other"), *texts]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("config.json: model_type is 'gpt2'")
    assert main(["make", "--source", "nowhere", "--out", str(tmp_path / "other"), *texts]) == 1
    assert "nowhere: neither a directory nor a ModelScope id" in capsys.readouterr().err


def test_a_graph_that_disagrees_with_its_reference_fails_the_check(
    pack: Pack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {name: value * -1 if "classifier" in name else value for name, value in weights().items()}
    turned = replace(
        recipe(tmp_path / "a"), source=write_source(tmp_path / "turned", other), min_agreement=0.5
    )
    stranger = make_pack(turned)
    for name in ("model.xml", "model.bin"):
        (stranger.directory / name).write_bytes(pack.path(name).read_bytes())
    write_pack(
        replace(stranger, files=dict(stranger.files) | {n: pack.files[n] for n in ("model.xml", "model.bin")})
    )
    (tmp_path / "texts").write_text("\n".join(TEXTS), "utf-8")
    assert main(["verify", str(stranger.directory), "--calibration", str(tmp_path / "texts")]) == 1
    assert "model.bin: agrees with the reference on" in capsys.readouterr().err


def test_a_pack_without_reference_is_checked_against_a_source_of_8_bit_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = recipe(tmp_path)
    path = plain.source / "model.safetensors"
    save_file(compress(read_source(plain.source).weights), path)
    made = make_pack(replace(plain, reference=Reference.NONE, min_agreement=1.01))
    (tmp_path / "texts").write_text("\n".join(TEXTS), "utf-8")
    asked = ["verify", str(made.directory), "--calibration", str(tmp_path / "texts"), "--min-agreement", "1"]

    assert main(asked) == 0
    assert "agreement not checked" in capsys.readouterr().out
    assert main([*asked, "--source", str(plain.source)]) == 0
    assert "agrees with the reference on 100.00%" in capsys.readouterr().out

    turned = {name: value * -1 if "classifier" in name else value for name, value in weights().items()}
    save_file(compress(turned), path)
    assert main([*asked, "--source", str(plain.source)]) == 1
    assert "model.bin: agrees with the reference on" in capsys.readouterr().err


def probabilities(pack: Pack, engine: str) -> list[float]:
    built = build_engine(pack, engine, device="cpu", threads=1)
    return [verdict.kept[1] for verdict in Classifier(pack, built, batch_tokens=512).classify(TEXTS)]
