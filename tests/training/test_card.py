"""The card of a pack says what was measured and counted, and nothing that was not."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from local.processes import ROOT
from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from tasks.vocabulary.verdicts import Verdict
from tests.random_packs import THREE, write_random_pack
from training import card_facts
from training.card import main
from training.card_figures import Figures, Group, groups_tables, overview, weak
from worker.evaluate.__main__ import evaluate, parse
from worker.evaluate.measures import Scored
from worker.packs.pack import file_sha256

COLUMNS = ("text", "label", "domain", "kind", "writer")
SAID = {"1": "非常满意，推荐", "0": "太差了，很失望", "n": "请问几点开门"}
OPTIONS = {"passes": 5, "rows": 1234, "length": 77, "rate": 0.0002, "seed": 1}


def rows(labels: str, domain: str = "hotel", kind: str = "plain", writer: str = "1") -> list[Sequence[str]]:
    """Return rows of which none is near one of another domain."""
    return [
        (f"{domain * 5}{at}{SAID[label]}", label, domain, kind, writer) for at, label in enumerate(labels)
    ]


def write(path: Path, lines: Sequence[Sequence[str]], columns: Sequence[str] = COLUMNS) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *(line[: len(columns)] for line in lines)])
    return path


def files_of(folder: Path) -> list[str]:
    """Return the options for a small training, and for 12 stories with a side and 10 facts that measure."""
    train = rows("0101010") + rows("01", "phone")
    files = {
        "train": write(folder / "train.csv", train, COLUMNS[:3]),
        "dev": write(folder / "dev.csv", train[:1], COLUMNS[:2]),
        "written": write(folder / "written.csv", rows("0101n", "film") + rows("01", "games")),
    }
    measuring = rows("01" * 6, "book", "story") + rows("n" * 10, "book", "nfact")
    inputs = {name: file_sha256(path) for name, path in files.items()} | OPTIONS
    (folder / "joint.work").mkdir()
    (folder / "joint.work" / "inputs.json").write_text(json.dumps(inputs), "utf-8")
    (folder / "lines.txt").write_text("一二三\n四五\n", "utf-8")
    given = files | {"unlabelled": folder / "lines.txt", "joint": folder / "joint"}
    options = [part for name, path in given.items() for part in (f"--{name}", str(path))]
    return [*options, "--measured", str(write(folder / "written-test.csv", measuring))]


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(ROOT / "models" / "embedded", folder / "embedded"))


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    return files_of(tmp_path)


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    return copied(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pack `embedded`, its card and the files of the card."""
    folder = tmp_path_factory.mktemp("made")
    assert main([str(copied(folder)), *files_of(folder)]) == 0
    return folder


def evaluated(pack: Path, file: Path) -> SimpleNamespace:
    return SimpleNamespace(**evaluate(parse(["--pack", str(pack), str(file), "--other-labels", "leave-out"])))


def test_the_figures_are_those_of_worker_evaluate(made: Path) -> None:
    card = (made / "embedded" / "CARD.md").read_text("utf-8")
    measured = evaluated(made / "embedded", made / "written-test.csv")
    (row,) = re.findall(r"^\| `written-test` \| (.+) \|$", card, re.MULTILINE)
    texts, accuracy, above, wrong, error, macro_f1, f1 = row.split(" | ")
    assert (texts, measured.texts) == ("12", 12)
    assert float(accuracy.split()[0]) == pytest.approx(measured.accuracy, abs=6e-4)
    assert above == f"{measured.confident['share']:.1%}"
    assert wrong.startswith(f"{measured.confident['wrong']:.1%} (")
    assert float(error) == pytest.approx(measured.ece, abs=6e-4)
    assert float(macro_f1) == pytest.approx(measured.macro_f1, abs=6e-4)
    assert f1 == ", ".join(f"{each:.3f}" for each in measured.f1.values())
    assert "Left out: 10 texts" in card
    assert "### written-test, by domain" in card
    assert "### written-test, by kind" in card
    assert "| `dev` | 1 |" in card


def test_texts_are_counted_and_options_read(made: Path) -> None:
    card = (made / "embedded" / "CARD.md").read_text("utf-8")
    assert re.search(r"labelled: hotel 7, phone 2 \| 9 \| \d+ \|", card)
    assert re.search(r"unlabelled \| 2 \| 9 \|", card), "[CLS], three or two characters, [SEP]"
    assert "Each of 5 passes reads 5 written texts and up to 1,234" in card
    assert "Nothing is learned from 2 written texts" in card
    assert "leaves out 1 reviews" in card, "the text of dev"
    assert 'JOINT="--passes 5 --rows 1234 --length 77 --rate 0.0002 --seed 1"' in card
    assert "only the first 77 tokens" in card
    assert "$" not in card
    assert str(made) not in card


def test_a_pack_of_three_labels_reads_neutral_texts(tmp_path: Path, arguments: list[str]) -> None:
    pack = tmp_path / "embedded-3"
    write_random_pack(pack, THREE)
    assert main([str(pack), *arguments]) == 0
    card = (pack / "CARD.md").read_text("utf-8")
    assert "F1 of negative, neutral, positive" in card
    assert "| `written-test` | 22 |" in card
    assert re.search(r"^\| nfact \| 10 \|", card, re.MULTILINE)
    assert "Left out" not in card
    assert "fitted to one part of the held-out texts, which is in `three-fitted.csv`" in card


def test_other_files_than_those_of_the_training_are_refused(
    embedded: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (embedded / "CARD.md").read_bytes()
    train = write(embedded.parent / "train.csv", rows("01"))
    assert main([str(embedded), *arguments]) == 1
    assert f"{train}: not the file --train" in capsys.readouterr().err
    (embedded.parent / "joint.work" / "inputs.json").unlink()
    assert main([str(embedded), *arguments]) == 1
    assert "inputs.json: missing or damaged" in capsys.readouterr().err
    assert (embedded / "CARD.md").read_bytes() == before


def test_what_nobody_described_is_named(
    embedded: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(embedded.parent / "other.csv", rows("01"))
    assert main([str(embedded), *arguments, str(other)]) == 1
    assert "facts.toml: table measured: no 'other' among plain" in capsys.readouterr().err
    assert main([str(embedded.rename(embedded.with_name("mine"))), *arguments]) == 1
    assert "facts.toml: table packs: no 'mine' among embedded, embedded-3" in capsys.readouterr().err


def test_a_fault_in_the_facts_is_named(
    embedded: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = embedded.parent / "facts.toml"
    broken.write_text("[measured]\nplain = plain\n", "utf-8")
    monkeypatch.setattr(card_facts, "FACTS", broken)
    assert main([str(embedded), *arguments]) == 1
    assert re.search(rf"{re.escape(str(broken))}: .*line 2, column 9", capsys.readouterr().err)


def test_the_facts_describe_all_that_make_measures() -> None:
    recipe = re.search(r"^carded = .*\n(?:\t.*\n)*", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert recipe
    named = re.findall(r"([\w$-]+)\.csv", recipe[0])
    assert "written-test" in named
    calls = re.findall(r"call carded,([\w-]+),(\w+)", (ROOT / "Makefile").read_text("utf-8"))
    assert [name for name, _ in calls] == ["embedded", "embedded-3"]
    for name, classifier in calls:
        measured = [each.replace("$2", classifier) for each in (*named, "dev")]
        facts, _ = card_facts.read_facts(name, measured)
        assert facts["classifier"] == classifier


def figures(wrong: dict[str, int], texts: int = 40) -> Figures:
    """Return a file of 40 texts for each kind: `wrong` says how many verdicts are. Confidence is 0.95."""
    true = np.tile([0, 1], texts * len(wrong) // 2)
    kinds = np.repeat(list(wrong), texts)
    flipped = np.concatenate([np.arange(texts) < count for count in wrong.values()])
    verdicts = [
        Verdict(NEGATIVE_POSITIVE, {label: 0.95, 1 - label: 0.05}, 9, 9)
        for label in np.where(flipped, 1 - true, true).tolist()
    ]
    scored = Scored.of(verdicts, NEGATIVE_POSITIVE, true.tolist())
    groups = [Group("kind", kind, scored.where(kinds == kind)) for kind in wrong]
    return Figures("texts", 0, scored, groups)


def test_what_it_is_not_good_at_is_below_by_more_than_chance_and_the_worst_first() -> None:
    told = weak([figures({"plain": 0, "turn": 20, "chat": 7, "irony": 24, "fact": 0})])
    assert re.findall(r"^\| kind (\w+) \| texts \| 40 \| (0\.\d+) .* \| 0\.745 \|$", told, re.MULTILINE) == [
        ("irony", "0.400"),
        ("turn", "0.500"),
    ]
    assert weak([figures({"plain": 4, "turn": 5})]).startswith("No domain or kind")


def test_groups_are_listed_from_the_worst_with_their_confident_errors() -> None:
    told = groups_tables([figures({"plain": 2, "irony": 20})])
    assert re.findall(r"^\| (irony|plain) \|", told, re.MULTILINE) == ["irony", "plain"]
    assert "| 40 | 0.950 (0.835 to 0.986) | 100.0% | 5.0% (1.4% to 16.5%) |" in told


def test_a_file_without_texts_of_a_label_has_no_macro_f1() -> None:
    every = figures({"plain": 2})
    positive = Figures("texts", 0, every.scored.where(every.scored.true == 1), ())
    assert overview([positive], {"texts": "texts"}).splitlines()[2].split(" | ")[-2:] == ["-", "-, 0.974 |"]
