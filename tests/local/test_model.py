"""MODEL= names the model that `make up` serves; for an existing pack nothing is installed or made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.model import MUST_BE_MADE, Model, ModelError
from local.processes import ROOT

EMBEDDED = ROOT / "models" / "embedded"


def model_of(**env: str) -> Model:
    model = Model.from_env(env)
    assert model is not None
    return model


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a directory with the files of a checkpoint; the contents are not valid."""
    folder = tmp_path / "my-model"
    folder.mkdir()
    for name in ("config.json", "vocab.txt", "model.safetensors"):
        (folder / name).write_text(name, "utf-8")
    return folder


def test_without_model_the_default_pack_is_served() -> None:
    assert Model.from_env({}) is None
    assert Model.from_env({"MODEL": "", "REVISION": ""}) is None


def test_a_pack_is_served_where_it_lies() -> None:
    assert model_of(MODEL=str(EMBEDDED)).pack == EMBEDDED
    assert model_of(MODEL=str(EMBEDDED)).made


def test_an_id_is_kept_by_id_and_revision() -> None:
    kept = ROOT / ".run" / "packs" / "iic--nlp_structbert"
    assert model_of(MODEL="iic/nlp_structbert").pack == kept / "master"
    assert model_of(MODEL="iic/nlp_structbert", REVISION="v1/2").pack == kept / "v1--2"
    assert not model_of(MODEL="iic/nlp_structbert").made


def test_a_directory_is_kept_by_its_contents(source: Path) -> None:
    before = model_of(MODEL=str(source)).pack
    (source / "README.md").write_text("no weight", "utf-8")
    assert model_of(MODEL=str(source)).pack == before
    (source / "model.safetensors").write_text("changed", "utf-8")
    after = model_of(MODEL=str(source)).pack
    assert after != before
    assert after.parent == before.parent == ROOT / ".run" / "packs" / "my-model"


def test_a_kept_pack_that_was_damaged_has_to_be_made_again(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.model._PACKS", source.parent / "packs")
    model = model_of(MODEL=str(source))
    shutil.copytree(EMBEDDED, model.pack)
    assert model.made
    (model.pack / "vocab.txt").write_text("cut off", "utf-8")
    assert not model.made


def test_a_pack_is_kept_by_the_labels_that_are_given(source: Path) -> None:
    file = source.parent / "labels.json"
    plain = model_of(MODEL=str(source), LABELS="").pack
    packs = []
    for labels in ("[1]", "[2]"):
        file.write_text(labels, "utf-8")
        packs.append(model_of(MODEL=str(source), LABELS=str(file)).pack)
    assert len({plain, *packs}) == 3
    assert all(pack.name.startswith(f"{plain.name}-") for pack in packs)


@pytest.mark.parametrize(
    ("env", "cause"),
    [
        ({"MODEL": "./nowhere"}, r"MODEL=\./nowhere: neither a directory nor a ModelScope id"),
        ({"MODEL": "nowhere"}, "MODEL=nowhere: neither"),
        ({"MODEL": str(EMBEDDED), "REVISION": "v1"}, "REVISION=v1: only ModelScope ids have revisions"),
        ({"MODEL": "a/b", "SENTIMENT_PACK": "x"}, "set only one of them"),
        (
            {"MODEL": str(EMBEDDED), "LABELS": "x"},
            "LABELS=x: MODEL=.* is a pack, which has its labels already",
        ),
        ({"MODEL": "a/b", "LABELS": "no.json"}, r"LABELS=.*no\.json: cannot be read: No such file"),
        ({"MODEL": "a/b c/d", "LABELS": "x"}, "LABELS=x with MODEL=a/b c/d: give it with one model only"),
    ],
)
def test_a_model_that_cannot_be_served_is_refused_with_the_cause(env: dict[str, str], cause: str) -> None:
    with pytest.raises(ModelError, match=cause):
        Model.all_from_env(env)


@pytest.mark.parametrize(
    ("name", "code"), [(str(EMBEDDED), 0), ("iic/not-made-yet", MUST_BE_MADE), ("nowhere", 1)]
)
def test_the_exit_code_says_whether_more_must_be_installed(name: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.model"], cwd=ROOT, env=os.environ | {"MODEL": name}, check=False
    )
    assert done.returncode == code


def test_looking_for_a_pack_loads_no_model_library() -> None:
    heavy = {"torch", "numpy", "openvino", "modelscope", "tokenizers"}
    code = f"import local.model, sys; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
