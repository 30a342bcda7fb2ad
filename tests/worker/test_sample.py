"""`training.sample` chooses uncertain texts of every label that are unlike each other, for a spreadsheet."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from local.processes import ROOT
from samples.composed import composed_texts
from tests.random_packs import THREE, write_random_pack
from training.sample import main
from training.selection import POOL, diverse, ngram_vectors, quotas, select
from training.unlabelled import Guessed, Unlabelled, certainties, draw, own_names
from worker.evaluate.labelled import read_labelled

EMBEDDED = ROOT / "models" / "embedded"
MANY = [f"{place}{text[:24]}".replace('"', "") for place, text in enumerate(composed_texts(60, seed=5))]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def sample(source: Path, out: Path, *more: str) -> int:
    return main([str(source), "--pack", str(EMBEDDED), "-o", str(out), *more])


def file_of(path: Path, *lines: str) -> Path:
    content = "\n".join([*lines, ""]).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [f"s{place},{text}" for place, text in enumerate(MANY)]
    return file_of(tmp_path / "texts.csv", "shop,text", *rows)


@pytest.mark.parametrize(
    ("available", "count", "expected"),
    [
        ({"a": 90, "b": 90}, 10, {"a": 5, "b": 5}),
        ({"a": 2, "b": 90}, 10, {"a": 2, "b": 8}),
        ({"a": 90, "b": 1, "c": 90}, 10, {"b": 1, "a": 4, "c": 5}),
        ({"a": 2, "b": 3}, 10, {"a": 2, "b": 3}),
        ({"a": 90, "b": 90}, 1, {"a": 0, "b": 1}),
    ],
)
def test_each_label_has_its_share_and_what_others_lack(
    available: dict[str, int], count: int, expected: dict[str, int]
) -> None:
    assert quotas(available, count) == expected


def test_of_copies_one_is_chosen() -> None:
    texts = [
        f"{words}{end}"
        for end in ("", "！", "。")
        for words in ("送货太慢了等了三天", "味道真的很不错", "屏幕有一条划痕")
    ]
    chosen = diverse(np.linspace(0, 0.1, 9), ngram_vectors(texts), 3)
    assert sorted(place % 3 for place in chosen) == [0, 1, 2]


def test_vectors_have_length_1_and_are_alike_where_texts_are() -> None:
    vectors = ngram_vectors(["房间很干净很舒服", "房间很干净，很舒服", "快递员把箱子摔坏了", "好", ""])
    similar = vectors @ vectors.T
    assert np.diag(similar) == pytest.approx([1, 1, 1, 0, 0], abs=1e-5)
    assert similar[0, 1] > 0.5
    assert similar[0, 2] < 0.2


def test_the_most_uncertain_texts_of_each_label_are_chosen() -> None:
    chance = np.random.default_rng(2)
    labels = ["a"] * 900 + ["b"] * 100
    margins = chance.random(1_000)
    texts = ["".join(chance.choice(list("天地玄黄宇宙洪荒日月盈昃辰宿列张"), 12)) for _ in labels]
    chosen = select(texts, labels, margins, 10)
    assert [labels[place] for place in chosen].count("b") == 5
    assert list(margins[chosen]) == sorted(margins[chosen])
    for label in ("a", "b"):
        pool = np.sort(margins[np.array(labels) == label])[: POOL * 5]
        assert max(margins[place] for place in chosen if labels[place] == label) <= pool[-1]


def test_a_draw_is_uniform_seeded_and_of_different_texts() -> None:
    texts = [Unlabelled(str(number), {}) for number in range(20_000)]
    drawn, count = draw(iter(texts), 500, 1, ())
    assert (len(drawn), count) == (500, 20_000)
    assert abs(np.mean([int(each.text) for each in drawn]) - 10_000) < 800
    assert draw(texts, 500, 1, ())[0] == drawn != draw(texts, 500, 2, ())[0]


def test_copies_take_no_part_in_a_draw() -> None:
    few = [Unlabelled(text, {}) for text in ("好", "好", " ", "", "差", "贵", "好")]
    drawn, count = draw(few, 9, 1, {"贵"})
    assert ([each.text for each in drawn], count) == (["好", "差"], 2)
    texts = [Unlabelled("好评" if number % 2 else str(number), {}) for number in range(1_000)]
    draws = [draw(texts, 10, seed, ()) for seed in range(100)]
    assert {(len(drawn), count) for drawn, count in draws} == {(10, 501)}
    copied = sum(each.text == "好评" for drawn, _ in draws for each in drawn)
    assert copied < 12, "about 2 of 100 draws hold it, as any other text"


def test_certainty_is_by_confidence_for_all_if_one_verdict_names_no_probabilities() -> None:
    margins, confidences = (0.2, 0.0, None), (0.5, 0.4, 0.45)
    texts = [Guessed("好", {}, "a", *each) for each in zip(confidences, margins, strict=True)]
    assert certainties(texts[:2]).tolist() == [0.2, 0]
    assert certainties(texts).tolist() == [0.5, 0.4, 0.45]


def test_columns_of_the_callers_are_kept_under_a_name_of_their_own() -> None:
    names = own_names(["shop", "text", "own_text", "label"], ["text", "label"])
    assert names == {"shop": "shop", "text": "own_own_text", "own_text": "own_text", "label": "own_label"}


def test_a_file_is_sampled_labelled_and_sampled_again(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    assert sample(source, first, "-n", "20") == 0
    assert "60 different texts without a label; 60 are considered" in capsys.readouterr().err
    assert first.read_bytes().startswith(b"\xef\xbb\xbftext,label,predicted,confidence,shop\r\n")
    rows = rows_of(first)
    assert len(rows) == 20
    assert {row["label"] for row in rows} == {""}
    assert all(MANY[int(row["shop"][1:])] == row["text"] for row in rows)
    predicted = [row["predicted"] for row in rows]
    assert predicted.count("positive") == predicted.count("negative") == 10
    confidences = [float(row["confidence"]) for row in rows]
    assert confidences == sorted(confidences)
    with first.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"label": "1"} for row in rows)
    assert read_labelled(first).texts == [row["text"] for row in rows]
    assert sample(source, second, "-n", "200", "--labelled", str(first)) == 0
    assert {row["text"] for row in rows_of(second)} == set(MANY) - {row["text"] for row in rows}


def test_the_seed_alone_decides(source: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / f"{number}.csv" for number in range(2)]
    assert [sample(source, out, "-n", "9") for out in outputs] == [0, 0]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_labelled_rows_are_left_out_and_formulas_defused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["=很好,1,,=1", "=太差了,,x,=1", "一般,,,-2", " ,,,"]
    source = file_of(tmp_path / "texts.csv.gz", "text,label,predicted,@note", *rows)
    assert sample(source, tmp_path / "out.csv") == 0
    written = rows_of(tmp_path / "out.csv")
    assert "out.csv: your column predicted is own_predicted there" in capsys.readouterr().err
    assert list(written[0]) == ["text", "label", "predicted", "confidence", "own_predicted", "'@note"]
    assert {row["text"]: row["own_predicted"] for row in written} == {"'=太差了": "x", "一般": ""}
    assert {row["text"]: row["'@note"] for row in written} == {"'=太差了": "'=1", "一般": "'-2"}
    assert {row["predicted"] for row in written} <= {"negative", "positive"}


def test_lines_are_sampled(tmp_path: Path) -> None:
    source = file_of(tmp_path / "texts.txt", "很好，推荐", "太差了", "", "太差了", "=味道一般")
    assert sample(source, tmp_path / "out.csv") == 0
    assert {row["text"] for row in rows_of(tmp_path / "out.csv")} == {"很好，推荐", "太差了", "'=味道一般"}


@pytest.mark.parametrize(
    ("name", "lines", "cause"),
    [
        ("texts.csv", ["content", "好"], "texts.csv: line 1: no column text among content"),
        ("texts.csv", ["text,shop", '"好,南山'], "texts.csv: line 2: unexpected end of data, expected CSV"),
        ("texts.csv", ["text,label", "好,1"], "no text without a label"),
        ("texts.xlsx", ["text", "好"], "texts.xlsx: expected a name that ends in .csv, .csv.gz, .txt or"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, lines: list[str], cause: str
) -> None:
    assert sample(file_of(tmp_path / name, *lines), tmp_path / "out.csv") == 1
    assert cause in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name], "no partial file"


def test_a_file_that_may_hold_labels_is_not_overwritten(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = source.read_bytes()
    assert sample(source, source) == 1
    assert "texts.csv: exists and may hold labels" in capsys.readouterr().err
    assert source.read_bytes() == before


def test_a_pack_that_reads_pairs_is_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_random_pack(tmp_path / "pairs", THREE, "pair")
    assert main([str(source), "--pack", str(tmp_path / "pairs"), "-o", str(tmp_path / "out.csv")]) == 1
    assert "random: reads pairs of an aspect and a text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-n", "0", "texts.csv"], "0 is not between 1 and 10,000"),
        (["texts.csv"], "expected either FILE with --pack, or --job"),
        (["texts.csv", "--pack", "p", "--job", "j"], "expected either FILE with --pack, or --job"),
        (["--pack", "p", "--job", "j"], "expected either FILE with --pack, or --job"),
    ],
)
def test_a_wrong_command_line_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "-o", "out.csv"])
    assert said in capsys.readouterr().err
