"""A pack is served only when it is complete and unchanged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from worker.engines.engine import EngineError
from worker.engines.factory import build_engine
from worker.packing.__main__ import main
from worker.packs.pack import PackError, file_sha256, load_pack

ROOT = Path(__file__).parents[2]
NEGATIVE, POSITIVE = NEGATIVE_POSITIVE.described()
NEUTRAL = {"id": "neutral", "label_zh": "中性", "label_en": "Neutral", "polarity": 0}
EMBEDDED = ROOT / "models" / "embedded"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EMBEDDED, tmp_path / "pack"))


def change(pack: Path, **fields: Any) -> None:
    path = pack / "pack.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), "utf-8")


def test_the_embedded_pack_is_whole() -> None:
    pack = load_pack(EMBEDDED)
    assert pack.labels == NEGATIVE_POSITIVE
    assert pack.precision == "int8"
    assert set(pack.files) >= {"model.xml", "model.bin", "vocab.txt"}


@pytest.mark.parametrize("directory", [EMBEDDED, EMBEDDED.with_name("embedded-3")])
def test_the_embedded_packs_are_small_and_accurate(directory: Path) -> None:
    pack = load_pack(directory)
    assert sum(path.stat().st_size for path in directory.iterdir()) < 11 * 2**20
    assert pack.precision == "int8"
    assert pack.measured["agreement_with_fp32"] > 0.99
    # Of texts half of which are by writers and of domains that it has not learned from.
    assert pack.measured["dev_macro_f1"] > 0.85


def test_one_changed_bit_of_the_weights_is_refused(copy: Path) -> None:
    weights = bytearray((copy / "model.bin").read_bytes())
    weights[1000] ^= 1
    (copy / "model.bin").write_bytes(weights)
    with pytest.raises(PackError, match=r"model\.bin: changed"):
        load_pack(copy)


@pytest.mark.parametrize("name", ["vocab.txt", "model.xml", "pack.json"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(PackError, match=f"{name}: missing"):
        load_pack(copy)


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"labels": [NEGATIVE]}, "1 labels"),
        ({"labels": [NEGATIVE, NEUTRAL, POSITIVE]}, "3 labels for 2 logits"),
        ({"labels": [NEGATIVE, NEGATIVE]}, "the same id"),
        ({"labels": ["negative", "positive"]}, "not an object"),
        ({"labels": [NEGATIVE, POSITIVE | {"id": "Positive"}]}, "label id 'Positive'"),
        ({"labels": [NEGATIVE, POSITIVE | {"polarity": 2}]}, "polarity of label positive"),
        ({"labels": [NEGATIVE, POSITIVE | {"label_zh": ""}]}, "label_zh of label positive"),
        ({"labels": [NEGATIVE, POSITIVE | {"emoji": "x" * 17}]}, "emoji of label positive"),
        ({"labels": [NEGATIVE, POSITIVE | {"colour": "red"}]}, "colour"),
        ({"labels": 2}, "malformed"),
        ({"input": "image"}, "input"),
        ({"format": 1}, "format 1"),
        ({"max_tokens": "256"}, "max_tokens"),
        ({"temperature": 0.0}, "temperature"),
        ({"uncertain_below": 0.49}, "uncertain_below"),
        ({"uncertain_below": 1.01}, "uncertain_below"),
        ({"uncertain_below": "0.75"}, "uncertain_below"),
        ({"files": {"../model.bin": "0"}}, "outside"),
        ({"surprise": 1}, "malformed"),
        ({"max_tokens": 10**9}, "max_tokens"),
        ({"max_tokens": 257}, "max_tokens"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"architecture": {}}, "architecture"),
        ({"reason": "x" * 2**20}, "malformed"),
    ],
)
def test_a_wrong_description_is_refused(copy: Path, fields: dict[str, Any], cause: str) -> None:
    change(copy, **fields)
    with pytest.raises(PackError, match=rf"pack\.json: .*{cause}"):
        load_pack(copy)


def test_a_pack_of_pairs_that_knows_one_segment_is_refused(copy: Path) -> None:
    change(copy, input="pair", architecture=dict(load_pack(copy).architecture) | {"token_types": 1})
    with pytest.raises(PackError, match=r"pack\.json: input is pair, and token_types .* is below 2"):
        load_pack(copy)


def test_a_graph_that_reads_texts_does_not_run_as_one_of_pairs(copy: Path) -> None:
    change(copy, input="pair")
    with pytest.raises(EngineError, match="cannot be run: a forward failed"):
        build_engine(load_pack(copy), "openvino", device="cpu", threads=1)


@pytest.mark.parametrize("value", [0, -1, 10**9, float("nan"), "12", None, True, [12]])
def test_an_absurd_size_is_refused(copy: Path, value: Any) -> None:
    architecture = dict(load_pack(copy).architecture)
    for name in architecture:
        change(copy, architecture=architecture | {name: value})
        with pytest.raises(PackError, match=rf"pack\.json: {name} of the architecture"):
            load_pack(copy)


@pytest.mark.parametrize("nested", ["[" * 100_000, '{"a":' * 100_000])
def test_a_description_nested_deep_is_refused(copy: Path, nested: str) -> None:
    (copy / "pack.json").write_text(nested, "utf-8")
    with pytest.raises(PackError, match=r"pack\.json: malformed \(nested too deep\)"):
        load_pack(copy)


def test_a_graph_without_a_network_is_refused(copy: Path) -> None:
    (copy / "model.xml").write_text("<?xml version='1.0'?><nothing/>", "utf-8")
    digest = file_sha256(copy / "model.xml")
    change(copy, files={**json.loads((copy / "pack.json").read_text("utf-8"))["files"], "model.xml": digest})
    with pytest.raises(EngineError, match=r"model\.xml of pack .*: OpenVINO cannot load it"):
        build_engine(load_pack(copy), "openvino", device="cpu", threads=1)


def test_a_description_without_the_vocabulary_is_refused(copy: Path) -> None:
    files = dict(load_pack(copy).files)
    del files["vocab.txt"]
    change(copy, files=files)
    with pytest.raises(PackError, match=r"vocab\.txt: not listed"):
        load_pack(copy)


def test_broken_json_is_refused(copy: Path) -> None:
    (copy / "pack.json").write_text("{", "utf-8")
    with pytest.raises(PackError, match=r"pack\.json: malformed"):
        load_pack(copy)


def test_a_file_that_the_pack_lacks_is_named_with_the_remedy(copy: Path) -> None:
    files = {
        name: digest for name, digest in load_pack(copy).files.items() if name != "reference.safetensors"
    }
    change(copy, files=files)
    with pytest.raises(PackError, match=r"reference\.safetensors: not part of"):
        load_pack(copy).path("reference.safetensors")


def test_the_command_verifies_and_explains(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(copy)]) == 0
    assert "files unchanged" in capsys.readouterr().out
    (copy / "vocab.txt").unlink()
    assert main(["verify", str(copy)]) == 1
    assert "vocab.txt: missing" in capsys.readouterr().err


def test_the_command_shows_the_card(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(copy)]) == 0
    shown = capsys.readouterr().out
    pack = load_pack(copy)
    for part in (pack.id, pack.revision, f"{pack.measured['agreement_with_fp32']:.2%}", "model.bin", "MiB"):
        assert part in shown
    assert main(["show", str(copy), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == pack.files


def test_without_torch_the_command_reports_what_it_did_not_check(copy: Path) -> None:
    reference = copy / "reference.safetensors"
    reference.write_bytes(b"not read without torch")
    change(copy, files={**load_pack(copy).files, reference.name: file_sha256(reference)})
    code = (
        "import sys; sys.modules['torch'] = None; from worker.packing.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "verify", str(copy)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert f"{len(load_pack(EMBEDDED).files) + 1} files unchanged" in done.stdout
    assert "agreement not checked: engine torch needs torch" in done.stdout


def test_without_reference_weights_the_command_reports_what_it_did_not_check(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["verify", str(EMBEDDED)]) == 0
    assert "agreement not checked: the pack has no reference weights" in capsys.readouterr().out
