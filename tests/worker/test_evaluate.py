"""`worker.evaluate` measures accuracy and calibration, and names what is wrong with a file."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from samples.shipped import REVIEWS_FILE
from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from tasks.vocabulary.verdicts import Verdict
from tests.random_packs import SEVEN, THREE, write_random_pack
from worker.evaluate.__main__ import main
from worker.evaluate.labelled import LabelledFileError, read_labelled, read_table
from worker.evaluate.measures import Scored, calibration_error, measure, reliability, wilson_interval

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "models" / "embedded"
ROWS = "text,label,domain\n很好,1,hotel\n太差了,0,film\n不错，推荐,1,film\n"


def scored(positive: list[float], labels: list[int]) -> Scored:
    verdicts = [Verdict(NEGATIVE_POSITIVE, {0: 1 - each, 1: each}, 9, 9) for each in positive]
    return Scored.of(verdicts, NEGATIVE_POSITIVE, labels)


def file_of(folder: Path, content: str | bytes, name: str = "texts.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def run(path: Path, *options: str) -> int:
    return main(["--pack", str(EMBEDDED), str(path), *options])


def test_accuracy_f1_and_confusion_match_a_count_by_hand() -> None:
    measures = measure(scored([0.9, 0.8, 0.6, 0.3, 0.1], [1, 1, 0, 0, 1]))
    assert (measures["texts"], measures["labels"]) == (5, {"negative": 2, "positive": 3})
    assert measures["accuracy"] == 0.6
    assert measures["confusion"]["negative"] == {"negative": 1, "positive": 1}
    assert measures["confusion"]["positive"] == {"negative": 1, "positive": 2}
    # F1 of negative 1/2, of positive 2/3.
    assert measures["macro_f1"] == pytest.approx((1 / 2 + 2 / 3) / 2, abs=1e-4)


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    # Four texts with confidence 0.95, two of them correct; six with confidence 0.65, all correct.
    measured = scored([0.95, 0.95, 0.05, 0.05] + [0.65] * 6, [1, 0, 0, 1] + [1] * 6)
    assert calibration_error(measured) == pytest.approx(0.4 * 0.45 + 0.6 * 0.35)
    assert [(part.texts, round(part.accuracy, 2)) for part in reliability(measured)] == [(6, 1), (4, 0.5)]


def test_confident_verdicts_and_the_wrong_ones_of_them_match_a_count_by_hand() -> None:
    # Above 0.9 are 0.95 twice, 0.02 and 0.91, of which the second is wrong; 0.9 is not above.
    measured = measure(scored([0.95, 0.95, 0.02, 0.91, 0.9, 0.2], [1, 0, 0, 1, 0, 1]))["confident"]
    assert list(measured) == ["above", "texts", "share", "wrong", "wrong_low", "wrong_high"]
    assert list(measured.values()) == [0.9, 4, 0.6667, 0.25, 0.0456, 0.6994]
    none = measure(scored([0.6, 0.4], [1, 0]))["confident"]
    assert (none["texts"], none["share"], none["wrong"], none["wrong_high"]) == (0, 0, None, None)


def test_wilson_intervals_are_those_of_the_literature() -> None:
    # Newcombe (1998), Two-sided confidence intervals for the single proportion, table I.
    expected = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605)}
    expected |= {(0, 20): (0, 0.1611), (1, 29): (0.0061, 0.1718)}
    for (count, of), interval in expected.items():
        assert wilson_interval(count, of) == pytest.approx(interval, abs=1e-4)


def test_three_labels_match_a_count_by_hand() -> None:
    numbers = ((0, 0), (0, 1), (1, 1), (2, 2), (2, 2), (2, 0))  # verdict, true label
    verdicts = [
        Verdict(THREE, {number: 0.8 if number == given else 0.1 for number in range(3)}, 9, 9)
        for given, _ in numbers
    ]
    measures = measure(Scored.of(verdicts, THREE, [true for _, true in numbers]))
    assert measures["labels"] == {"negative": 2, "neutral": 2, "positive": 2}
    assert measures["confusion"]["neutral"] == {"negative": 1, "neutral": 1, "positive": 0}
    assert measures["f1"] == {"negative": 0.5, "neutral": 0.6667, "positive": 0.8}
    assert measures["macro_f1"] == pytest.approx((1 / 2 + 2 / 3 + 4 / 5) / 3, abs=1e-4)
    assert measures["ece"] == pytest.approx(0.8 - 4 / 6, abs=1e-4)


def test_pairs_are_read_with_their_aspect(tmp_path: Path) -> None:
    pairs = read_labelled(file_of(tmp_path, "aspect,text,label\n味道,好吃,1\n价格,太贵,0\n"))
    assert pairs.inputs("pair") == [("味道", "好吃"), ("价格", "太贵")]
    assert pairs.inputs("text") == ["好吃", "太贵"]
    with pytest.raises(LabelledFileError, match="no column aspect, and the pack reads pairs"):
        read_labelled(file_of(tmp_path, ROWS)).inputs("pair")


def test_pairs_are_measured_by_their_aspects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_random_pack(tmp_path / "pack", THREE, "pair")
    rows = "aspect,text,label\n味道,很好,正面\n价格,很好,负面\n服务,太差了,中性\n"
    assert main(["--pack", str(tmp_path / "pack"), str(file_of(tmp_path, rows))]) == 0
    measures = json.loads(capsys.readouterr().out)
    assert measures["labels"] == {"negative": 1, "neutral": 1, "positive": 1}
    assert sum(sum(row.values()) for row in measures["confusion"].values()) == 3
    assert main(["--pack", str(tmp_path / "pack"), str(file_of(tmp_path, ROWS))]) == 1
    assert "no column aspect" in capsys.readouterr().err


def test_seven_labels_are_measured_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_random_pack(tmp_path / "pack", SEVEN)
    path, picture = file_of(tmp_path, "text,label\n很好,高兴\n太差了,愤怒\n"), tmp_path / "picture.png"
    assert main(["--pack", str(tmp_path / "pack"), str(path), "--plot", str(picture)]) == 0
    measures = json.loads(capsys.readouterr().out)
    assert sum(measures["labels"].values()) == measures["texts"] == 2
    assert list(measures["confusion"]) == list(SEVEN.ids)
    assert picture.stat().st_size > 10_000


def test_rows_with_other_labels_are_left_out_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file_of(tmp_path, "text,label,domain\n很好,1,a\n到了,n,b\n太差了,0,a\n到了,n,a\n")
    assert run(path) == 1
    assert "line 3, column label: 'n', expected 0 (negative), 1 (positive)" in capsys.readouterr().err
    assert run(path, "--other-labels", "leave-out") == 0
    measures = json.loads(capsys.readouterr().out)
    assert (measures["left_out"], measures["texts"]) == ({"n": 2}, 2)
    assert list(measures["domains"]) == ["a"]


def test_one_kind_of_label_alone_is_measured() -> None:
    assert measure(scored([0.9, 0.8], [1, 1]))["macro_f1"] == 0.5


def test_the_shipped_reviews_are_measured_by_domain(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(REVIEWS_FILE) == 0
    measures: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (measures["texts"], measures["file"]) == (200, "reviews.csv")
    assert measures["labels"] == {"negative": 100, "positive": 100}
    assert 0.6 < measures["accuracy"] <= 1
    assert measures["by"] == "domain"
    assert sum(part["texts"] for part in measures["domains"].values()) == 200
    correct = sum(part["accuracy"] * part["texts"] for part in measures["domains"].values())
    assert correct / 200 == pytest.approx(measures["accuracy"], abs=1e-3)
    confident = [part["confident"] for part in measures["domains"].values()]
    assert sum(part["texts"] for part in confident) == measures["confident"]["texts"] > 20


def test_gzip_a_byte_order_mark_and_other_columns_are_read(tmp_path: Path) -> None:
    path = file_of(tmp_path, gzip.compress(b"\xef\xbb\xbf" + ROWS.encode()), "texts.csv.gz")
    labelled = read_labelled(path)
    assert labelled.texts == ["很好", "太差了", "不错，推荐"]
    assert labelled.numbers(NEGATIVE_POSITIVE) == [1, 0, 1]
    assert (labelled.by, labelled.domains) == ("domain", ["hotel", "film", "film"])
    assert read_labelled(path, "text").by == "text"


def test_columns_without_a_name_are_left_out(tmp_path: Path) -> None:
    _, rows = read_table(file_of(tmp_path, "text,label,,\n很好,1,,x\n"), "text")
    assert list(rows) == [(2, {"text": "很好", "label": "1"})]


def test_text_over_several_lines_is_one_text(tmp_path: Path) -> None:
    path = file_of(tmp_path, 'label,text\n1,"很好\n，""真的"""\n')
    assert read_labelled(path).texts == ['很好\n，"真的"']
    assert read_labelled(path).by is None


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("", "line 1: empty, expected a header with the columns text,label"),
        ("text,sentiment\n很好,1\n", "line 1: no column label among text,sentiment"),
        ("text,label,text\n很好,1,差\n", "line 1: 2 columns are named text, expected one"),
        ("text,label,domain,note,note\n很好,1,a,b,c\n", "line 1: 2 columns are named note, expected one"),
        ("text,label\n", "line 2: missing, expected at least one row"),
        ("text,label\n很好,1\n差,2\n", r"line 3, column label: '2', expected 0 \(negative\), 1 \(positive\)"),
        ("text,label\n很好\n", "line 2, column label: missing"),
        ("text,label\n很好,不错,1\n", "line 2: more columns than the header"),
        (b"text,label\n\xba\xc3,1\n", "line 2: byte 0xba at position 0 is not UTF-8"),
        ('text,label\n"很好,1\n', "expected CSV"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, content: str | bytes, cause: str) -> None:
    with pytest.raises(LabelledFileError, match=cause):
        read_labelled(file_of(tmp_path, content)).numbers(NEGATIVE_POSITIVE)


def test_a_missing_or_truncated_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none.csv") == 1
    assert f"{tmp_path / 'none.csv'}: cannot be read: No such file" in capsys.readouterr().err
    assert run(file_of(tmp_path, gzip.compress(ROWS.encode())[:-10], "cut.csv.gz")) == 1
    assert "cut.csv.gz: cannot be read" in capsys.readouterr().err
    assert run(file_of(tmp_path, ROWS), "--by", "city") == 1
    assert "no column city among text,label,domain" in capsys.readouterr().err


def test_a_plot_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "picture.png"
    assert run(REVIEWS_FILE, "--plot", str(picture)) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == 200
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.stat().st_size > 10_000


def test_a_plot_of_one_text_is_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    assert run(file_of(tmp_path, "text,label\n很好,1\n"), "--plot", str(picture)) == 0
    assert picture.exists()


def test_without_matplotlib_only_a_plot_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = file_of(tmp_path, ROWS)
    code = (
        "import sys; sys.modules['matplotlib'] = None; "
        "from worker.evaluate.__main__ import main; sys.exit(main())"
    )

    def start(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "--pack", str(EMBEDDED), str(path), *options]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert start().returncode == 0
    refused = start("--plot", str(tmp_path / "picture.png"))
    assert refused.returncode == 1
    assert refused.stderr.strip().endswith("pip install -r requirements/plot.lock")
    assert not (tmp_path / "picture.png").exists()
