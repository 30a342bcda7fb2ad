"""`worker.evaluate --against` compares two packs, writes their flips, and is a gate for CI."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.processes import ROOT
from tasks.vocabulary.labels import LabelSet
from tasks.vocabulary.verdicts import Verdict
from tests.random_packs import SEVEN, THREE, TWO, write_random_pack
from worker.evaluate.__main__ import main
from worker.evaluate.against import difference, true_labels, write_flips
from worker.evaluate.labelled import LabelledFileError, LabelledTexts, read_labelled
from worker.evaluate.measures import Scored
from worker.evaluate.runs import Machine, Run
from worker.packs.pack import Pack, load_pack

EMBEDDED = ROOT / "models" / "embedded"
TEXTS = {
    "=1+1，太差了": "0",
    "很好，推荐": "1",
    "质量太差，再也不买": "0",
    "非常满意": "1",
    "味道不错": "1",
    "@失望": "0",
    "太差了": "1",  # so no pack is always right
}
REVERSED = LabelSet(tuple(reversed(TWO.labels)))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs") / "other"
    write_random_pack(folder, REVERSED)
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [
        f"{text},{label},{'shop' if place % 2 else 'film'}"
        for place, (text, label) in enumerate(TEXTS.items())
    ]
    path = tmp_path / "texts.csv"
    path.write_text("\n".join(["text,label,domain", *rows]), "utf-8")
    return path


def pack(labels: LabelSet, name: str) -> Pack:
    return replace(load_pack(EMBEDDED), labels=labels, id=name)


def report_of(capsys: pytest.CaptureFixture[str], *arguments: Path | str) -> dict[str, Any]:
    assert main([*map(str, arguments)]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_two_packs_are_compared_by_domain(
    other: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(capsys, "--pack", EMBEDDED, "--against", other, file)
    assert (report["pack"], report["against"]["pack"]) == ("sentiq-zh-small", "random")
    alone = report_of(capsys, "--pack", other, file)
    assert {**report["against"], "seconds": 0} == {**alone, "seconds": 0}
    whole, parts = report["difference"], report["difference"]["domains"]
    for part, first, second in [
        (whole, report, alone),
        *((parts[name], report["domains"][name], alone["domains"][name]) for name in ("film", "shop")),
    ]:
        for measure in ("accuracy", "macro_f1"):
            difference = part[measure]
            assert difference["value"] == pytest.approx(first[measure] - second[measure], abs=2e-4)
            assert difference["low"] <= difference["value"] <= difference["high"]
        assert part["fixed"] - part["broken"] == round(part["accuracy"]["value"] * first["texts"])
    assert whole["fixed"] == sum(part["fixed"] for part in parts.values()) > 0


def test_flips_are_the_texts_whose_labels_differ(
    other: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flips = tmp_path / "flips.csv"
    forward = report_of(capsys, "--pack", EMBEDDED, "--against", other, file, "--flips", flips)
    assert flips.read_bytes().startswith(b"\xef\xbb\xbftext,label,domain,verdict_a,verdict_b,")
    rows = list(csv.DictReader(flips.open(encoding="utf-8-sig", newline="")))
    changes = [row["change"] for row in rows]
    assert changes.count("fixed") == forward["difference"]["fixed"] > 0
    assert changes.count("broken") == forward["difference"]["broken"]
    assert "'=1+1，太差了" in {row["text"] for row in rows}, "a formula is defused"
    for row in rows:
        assert row["verdict_a"] != row["verdict_b"]
        assert row["label"] == ("negative", "positive")[int(TEXTS[row["text"].removeprefix("'")])]
        assert row["change"] == ("fixed" if row["verdict_a"] == row["label"] else "broken")
        assert 0.5 <= float(row["confidence_a"]) <= 1
    backward = report_of(capsys, "--pack", other, "--against", EMBEDDED, file, "--flips", flips)
    assert backward["difference"]["broken"] == changes.count("fixed")


def run_of(labels: LabelSet, labelled: LabelledTexts, true: list[str], given: list[str]) -> Run:
    verdicts = [Verdict(labels, {labels.ids.index(label): 0.7}, 9, 9) for label in given]
    scored = Scored.of(verdicts, labels, [labels.ids.index(label) for label in true])
    return Run(pack(labels, "some"), Machine("openvino", "cpu", 1), labelled, scored, 1.0)


def test_packs_with_other_labels_are_compared_by_the_ids_of_labels(tmp_path: Path) -> None:
    path, true = tmp_path / "pairs.csv", ["negative", "positive", "negative"]
    path.write_text("text,label,aspect\n好,0,味道\n好,1,价格\n好,0,服务\n", "utf-8")
    labelled = read_labelled(path)
    assert true_labels(labelled, [pack(TWO, "two"), pack(THREE, "three")]) == true
    first = run_of(THREE, labelled, true, ["neutral", "positive", "neutral"])
    second = run_of(TWO, labelled, true, ["negative", "negative", "positive"])
    described = difference(first, second, seed=1)
    assert described["labels"] == ["negative", "neutral", "positive"]
    assert (described["accuracy"]["value"], described["fixed"], described["broken"]) == (0, 1, 1)
    # F1 of the three labels: 0, 0, 1 against 1/2, 0, 0.
    assert described["macro_f1"]["value"] == pytest.approx(1 / 3 - 1 / 6, abs=1e-4)
    rows: list[list[object]] = []
    write_flips(first, second, true, lambda row: rows.append(list(row)))
    assert [(row[1], row[-1]) for row in rows] == [
        ("aspect", "change"), ("味道", "broken"), ("价格", "fixed"), ("服务", "neither")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "cause"),
    [
        (["0", "中性"], r"line 3, column label: '中性', expected 0 .*\(pack two\)"),
        (["0", "2"], r"line 3, column label: '2', expected 0 .*\(pack two\)"),
        (["很好"], r"line 2, column label: '很好', expected 0 .*\(pack three\)"),
    ],
)
def test_a_label_that_one_pack_lacks_is_named(tmp_path: Path, labels: list[str], cause: str) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("text,label\n" + "".join(f"好,{label}\n" for label in labels), "utf-8")
    with pytest.raises(LabelledFileError, match=cause):
        true_labels(read_labelled(path), [pack(THREE, "three"), pack(TWO, "two")])


def test_a_number_that_packs_read_as_different_labels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("text,label\n好,1\n好,0\n好,2\n", "utf-8")
    labelled = read_labelled(path)
    turned = pack(LabelSet(tuple(reversed(THREE.labels))), "turned")
    with pytest.raises(LabelledFileError, match=r"line 3, .*'0' is negative of three, positive of turned"):
        true_labels(labelled, [pack(THREE, "three"), turned])
    with pytest.raises(LabelledFileError, match="'1' is neutral of three, anger of seven"):
        true_labels(labelled, [pack(THREE, "three"), pack(SEVEN, "seven")])


def test_neutral_texts_are_left_out_where_one_pack_lacks_them(
    other: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_random_pack(tmp_path / "three", THREE)
    file.write_text(file.read_text("utf-8") + "\n到了,n,film", "utf-8")
    arguments = ("--pack", other, "--against", tmp_path / "three", file, "--other-labels", "leave-out")
    report = report_of(capsys, *arguments)
    assert report["left_out"] == {"n": 1}
    assert report["texts"] == report["against"]["texts"] == len(TEXTS)


def test_no_flips_are_left_where_a_pack_cannot_run(other: Path, file: Path, tmp_path: Path) -> None:
    broken, flips = tmp_path / "broken", tmp_path / "flips.csv"
    shutil.copytree(other, broken)
    file.write_text("text,label\n好,1\n", "utf-8")
    described = json.loads((broken / "pack.json").read_text("utf-8"))
    (broken / "pack.json").write_text(json.dumps(described | {"input": "pair"}), "utf-8")
    assert main(["--pack", str(other), "--against", str(broken), str(file), "--flips", str(flips)]) == 1
    assert list(tmp_path.glob("flips*")) == []


@pytest.mark.parametrize(
    ("bound", "code", "said"),
    [("0.5", 0, ""), ("1", 3, "worker.evaluate: accuracy is 0.8571, below --at-least 1\n")],
)
def test_accuracy_is_a_gate(
    file: Path, capsys: pytest.CaptureFixture[str], bound: str, code: int, said: str
) -> None:
    assert main(["--pack", str(EMBEDDED), str(file), "--at-least", bound]) == code
    printed = capsys.readouterr()
    assert (json.loads(printed.out)["texts"], printed.err) == (7, said)


def test_the_lower_end_of_the_difference_is_a_gate(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--pack", str(EMBEDDED), "--against", str(EMBEDDED), str(file), "--at-least"]
    assert main([*arguments, "-0.01"]) == 3, "seven texts do not show that a pack is as good as itself"
    said = (
        "the lower end of the 95 % interval of the accuracy difference is -0.3543, below --at-least -0.01\n"
    )
    assert capsys.readouterr().err.endswith(said)
    assert main([*arguments, "-0.4"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--at-least", "86"], "86 is not between -1 and 1"),
        (["--at-least", "nan"], "nan is not between -1 and 1"),
        (["--flips", "flips.csv"], "--flips needs --against"),
        (["--plot", "./texts.csv"], "texts.csv would replace what is read from texts.csv; name another file"),
        (["--against", str(EMBEDDED), "--flips", str(Path("texts.csv").resolve())], "would replace what is"),
        (["--plot", str(EMBEDDED / "new.png")], f"would replace what is read from {EMBEDDED}"),
        (["--against", "packs", "--flips", "packs/pack.json"], "would replace what is read from packs;"),
    ],
)
def test_a_wrong_command_line_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--pack", str(EMBEDDED), "texts.csv", *arguments])
    assert said in capsys.readouterr().err


def test_the_exit_codes_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "3  measured, and a figure is outside of its bound" in capsys.readouterr().out
