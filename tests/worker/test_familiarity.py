"""Whether most of a text was never seen in training, by the tokens that a pack records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from local.processes import ROOT
from tasks.vocabulary.options import Options
from tasks.vocabulary.verdicts import AspectVerdicts, Verdict
from worker.engines.engine import Tokens
from worker.packs.pack import Pack, PackError, load_pack
from worker.packs.seen import SEEN_FILE, read_seen, write_seen
from worker.scoring.classifier import Classifier
from worker.scoring.question import Question

EMBEDDED = load_pack(ROOT / "models" / "embedded")
PIECES = EMBEDDED.path("vocab.txt").read_text("utf-8").rstrip("\n").split("\n")
WITHOUT = replace(EMBEDDED, files={name: "" for name in EMBEDDED.files if name != SEEN_FILE})


class Flat:
    def logits(self, ids: Tokens, _mask: Tokens, _segments: Tokens | None = None) -> NDArray[np.float32]:
        return np.zeros((len(ids), 2), np.float32)


def seeing(folder: Path, pieces: Iterable[str]) -> Pack:
    """Return a pack that has learned from these pieces alone."""
    (folder / "vocab.txt").symlink_to(EMBEDDED.path("vocab.txt"))
    write_seen(map(PIECES.index, pieces), len(PIECES), folder / SEEN_FILE)
    return replace(EMBEDDED, directory=folder)


def scorer(pack: Pack, cache_rows: int = 0) -> Classifier:
    return Classifier(pack, Flat(), batch_tokens=1024, cache_rows=cache_rows)


def test_the_tokens_are_read_as_they_were_written(tmp_path: Path) -> None:
    pack = seeing(tmp_path, ["好", PIECES[0], PIECES[-1]])
    assert [PIECES[i] for i, seen in enumerate(read_seen(pack) or ()) if seen] == [
        PIECES[0], *sorted(["好", PIECES[-1]], key=PIECES.index)
    ]  # fmt: skip
    assert read_seen(WITHOUT) is None


def test_a_file_for_another_vocabulary_is_refused(tmp_path: Path) -> None:
    pack = seeing(tmp_path, "好")
    (tmp_path / SEEN_FILE).write_bytes(bytes(10))
    with pytest.raises(PackError, match=r"seen\.bin: has 10 bytes, expected 710 for a vocabulary of 5678"):
        scorer(pack)


@pytest.mark.parametrize(
    ("text", "unfamiliar"),
    [
        ("好", False),
        ("贵", True),
        ("好贵", False),
        ("好贵贵", True),
        ("好贵，，，！", False),
        ("好贵贵，，，！", True),
        ("好，，，！龘", False),
        ("，。！", False),
        ("龘", True),
        ("[SEP][SEP]好贵贵", True),
        ("好" * 300 + "贵" * 299, False),
        ("好" * 299 + "贵" * 300, True),
    ],
)
def test_a_text_is_unfamiliar_if_more_than_half_of_its_words_were_never_seen(
    tmp_path: Path, text: str, *, unfamiliar: bool
) -> None:
    pack = seeing(tmp_path, ["好", "[UNK]"])
    (verdict,) = scorer(pack).classify([text])
    assert verdict.unfamiliar is unfamiliar


def test_each_text_of_a_batch_has_its_own_also_from_the_cache(tmp_path: Path) -> None:
    classifier, texts = scorer(seeing(tmp_path, "好"), cache_rows=10), ["好", "贵", "好好贵", "贵贵好"]
    for cached in (False, True):
        verdicts = classifier.classify(texts)
        assert [each.unfamiliar for each in verdicts] == [False, True, False, True]
        assert {each.cached for each in verdicts} == {cached}


def test_sentences_have_their_own(tmp_path: Path) -> None:
    (verdict,) = scorer(seeing(tmp_path, "好")).answer([Question("好好好。贵。", Options(sentences=True))])
    assert isinstance(verdict, Verdict)
    assert verdict.unfamiliar is False
    assert [each.verdict.unfamiliar for each in verdict.sentences or ()] == [False, True]


def test_aspects_share_that_of_the_text(tmp_path: Path) -> None:
    pack = replace(seeing(tmp_path, "好"), input="pair")
    questions = [Question(text, Options(aspects=("好", "贵"))) for text in ("好好贵", "贵")]
    outcomes = scorer(pack).answer(questions)
    assert [isinstance(each, AspectVerdicts) and each.unfamiliar for each in outcomes] == [False, True]


def test_a_pack_that_records_nothing_says_nothing() -> None:
    assert [each.unfamiliar for each in scorer(WITHOUT).classify(["好", "龘龘"])] == [None, None]


def test_the_embedded_pack_has_seen_nearly_every_piece_of_its_vocabulary() -> None:
    seen = read_seen(EMBEDDED)
    assert seen is not None
    unseen = [piece for piece, each in zip(PIECES, seen, strict=True) if not each]
    # A piece that continues a word was counted in words that are pieces of their own now.
    assert {piece for piece in unseen if not piece.startswith("##")} == {"[PAD]", "[MASK]"}
    assert len(unseen) < 0.005 * len(PIECES)
    verdicts = scorer(EMBEDDED).classify(["质量很好，非常满意", "龘龘好", "👍👍👍"])
    assert [each.unfamiliar for each in verdicts] == [False, True, True]
