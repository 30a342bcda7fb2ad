"""Every checkpoint layout yields the same weights, and no file is trusted."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import save_file  # noqa: E402

from tests.models.sources import CONFIG, SHAPE, set_json, weights, write_source  # noqa: E402
from worker.packing.source import Source, read_source  # noqa: E402
from worker.packs.pack import PackError  # noqa: E402


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return read_source(write_source(tmp_path_factory.mktemp("plain") / "source"))


def assert_same(source: Source, plain: Source) -> None:
    assert source.shape == plain.shape == SHAPE
    assert source.weights.keys() == plain.weights.keys()
    assert all(torch.equal(source.weights[name], plain.weights[name]) for name in plain.weights)


@pytest.mark.parametrize(
    ("prefix", "head"),
    [("bert.", "classifier."), ("encoder.", "head.classifier."), ("", "classifier.")],
)
def test_every_prefix_is_read(tmp_path: Path, plain: Source, prefix: str, head: str) -> None:
    assert_same(read_source(write_source(tmp_path / "source", weights(prefix, head))), plain)


def test_gamma_and_beta_are_read(tmp_path: Path, plain: Source) -> None:
    old = {
        name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): value
        for name, value in weights().items()
    }
    assert "bert.embeddings.LayerNorm.gamma" in old
    assert_same(read_source(write_source(tmp_path / "source", old)), plain)


def test_heads_of_other_tasks_are_left_out(tmp_path: Path, plain: Source) -> None:
    more = weights() | {"cls.predictions.bias": torch.zeros(3)}
    assert_same(read_source(write_source(tmp_path / "source", more)), plain)


def test_half_precision_becomes_fp32(tmp_path: Path) -> None:
    half = {name: value.half() if value.is_floating_point() else value for name, value in weights().items()}
    read = read_source(write_source(tmp_path / "source", half))
    assert {value.dtype for value in read.weights.values()} == {torch.float32}


def test_shards_are_read(source: Path, plain: Source) -> None:
    (source / "model.safetensors").unlink()
    tensors = weights()
    halves = {name: f"model-0000{number % 2}.safetensors" for number, name in enumerate(tensors)}
    for shard in set(halves.values()):
        save_file({name: tensors[name] for name in tensors if halves[name] == shard}, source / shard)
    set_json(source / "model.safetensors.index.json", {"weight_map": halves})
    assert_same(read_source(source), plain)
    (source / "model-00001.safetensors").unlink()
    with pytest.raises(PackError, match=r"model-00001\.safetensors: cannot be read"):
        read_source(source)


def test_a_shard_outside_the_directory_is_refused(source: Path) -> None:
    (source / "model.safetensors").unlink()
    set_json(source / "model.safetensors.index.json", {"weight_map": {"a": "../x.safetensors"}})
    with pytest.raises(PackError, match=r"index\.json: shard '\.\./x\.safetensors' lies outside"):
        read_source(source)


def test_a_pickle_of_tensors_is_read(source: Path, plain: Source) -> None:
    (source / "model.safetensors").unlink()
    torch.save(weights(), source / "pytorch_model.bin")
    assert_same(read_source(source), plain)


class Opener:
    """An object whose unpickling opens a file for writing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, 2))])
def test_a_pickle_with_code_is_refused_and_the_code_not_run(source: Path, save: Any) -> None:
    (source / "model.safetensors").unlink()
    save(weights() | {"payload": Opener(source / "ran")}, source / "pytorch_model.bin")
    with pytest.raises(PackError, match=r"pytorch_model\.bin: contains code"):
        read_source(source)
    assert not (source / "ran").exists()


def test_a_pickle_of_something_else_is_refused(source: Path) -> None:
    (source / "model.safetensors").unlink()
    torch.save({"state_dict": weights()}, source / "pytorch_model.bin")
    with pytest.raises(PackError, match=r"pytorch_model\.bin: not a mapping of names to tensors"):
        read_source(source)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_weights_that_were_cut_off_are_refused(source: Path, name: str) -> None:
    torch.save(weights(), source / "pytorch_model.bin")
    path = source / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if name == "pytorch_model.bin":
        (source / "model.safetensors").unlink()
    with pytest.raises(PackError, match=rf"{name}: (cannot be read|contains code)"):
        read_source(source)


def test_a_source_without_weights_is_refused(source: Path) -> None:
    (source / "model.safetensors").unlink()
    with pytest.raises(PackError, match=r"model\.safetensors, .*pytorch_model\.bin: all missing from"):
        read_source(source)


def test_a_config_inside_modelscopes_is_read(source: Path, plain: Source) -> None:
    (source / "config.json").unlink()
    backbone = CONFIG | {"type": "structbert", "prefix": "encoder"}
    set_json(source / "configuration.json", {"model": {"type": "text-classification", "backbone": backbone}})
    assert_same(read_source(source), plain)


def test_a_source_without_config_is_refused(source: Path) -> None:
    (source / "config.json").unlink()
    with pytest.raises(
        PackError, match=r"config\.json: missing from .*configuration\.json has no model\.backbone"
    ):
        read_source(source)
