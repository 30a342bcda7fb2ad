"""The n-gram head of a pack: its logits, what they depend on, and files that are refused."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from local.processes import ROOT
from tasks.vocabulary.options import OnLongText, Options
from tasks.vocabulary.verdicts import Verdict
from worker.engines.factory import build_engine
from worker.packs.ngrams import MAX_LENGTH, NgramHead, ngram_keys, ngram_tokens, write_ngrams
from worker.packs.pack import NGRAMS_FILE, Pack, PackError, load_pack
from worker.scoring.classifier import Classifier
from worker.scoring.question import Question
from worker.scoring.tokenizer import load_tokenizer

EMBEDDED = load_pack(ROOT / "models" / "embedded")
ENCODER = {name: digest for name, digest in EMBEDDED.files.items() if name != NGRAMS_FILE}
PLAIN = replace(EMBEDDED, files=ENCODER)
TOKENIZER = load_tokenizer(EMBEDDED.path("vocab.txt"))
TEXTS = [
    "好",
    "不好",
    "一点也不好，再也不来",
    "房间小了点，不过老板娘给我们煮了面",
    "",
    "[PAD]",
    "龘",
    "好" * 300,
]
SCALE = np.array([2, 3], np.float32)


def tokens_of(text: str) -> list[int]:
    return list(TOKENIZER.encode(text).ids[1:-1])


def ngrams_of(tokens: Sequence[int]) -> set[tuple[int, ...]]:
    lengths = range(1, MAX_LENGTH + 1)
    return {tuple(tokens[at : at + n]) for n in lengths for at in range(len(tokens) - n + 1)}


def head_of(texts: Sequence[str]) -> NgramHead:
    """Return a head with random weights for half of the n-grams of the texts."""
    draw = np.random.default_rng(1)
    ids = [np.array([tokens_of(text)], np.int64) for text in texts]
    keys = np.unique(np.concatenate([ngram_keys(row, np.ones_like(row)).ravel() for row in ids]))[1::2]
    shape = (len(keys), 2)
    weights, ratios = draw.integers(-127, 128, shape), draw.integers(0, 256, shape)
    return NgramHead(keys, weights.astype(np.int8), ratios.astype(np.uint8), SCALE)


def expected(head: NgramHead, tokens: Sequence[int]) -> list[float]:
    places = [at for at, key in enumerate(head.keys.tolist()) if ngram_tokens(key) in ngrams_of(tokens)]
    weight = head.weights[places].sum(axis=0, dtype=int)
    length = np.sqrt((head.ratios[places].astype(int) ** 2).sum(axis=0))
    return list(head.scale * weight / np.maximum(length, 1))


def with_head(folder: Path, head: NgramHead) -> Pack:
    """Return the embedded pack with this head instead of its own."""
    for name in ENCODER:
        (folder / name).symlink_to(EMBEDDED.path(name))
    write_ngrams(head, folder / NGRAMS_FILE)
    return replace(EMBEDDED, directory=folder, files={**ENCODER, NGRAMS_FILE: ""})


def classifier(pack: Pack, cache_rows: int = 0) -> Classifier:
    engine = build_engine(pack, "openvino", device="cpu", threads=1)
    return Classifier(pack, engine, batch_tokens=engine.batch_tokens, cache_rows=cache_rows)


def margin(verdict: Verdict) -> float:
    """Return the difference of the logits, positive minus negative."""
    return math.log(verdict.kept[1] / verdict.kept[0]) * EMBEDDED.temperature


def test_a_key_stands_for_one_ngram() -> None:
    ids = np.array([[7, 0, 65_534, 7, 7]])
    keys = np.unique(ngram_keys(ids, np.ones_like(ids)))
    assert {ngram_tokens(key) for key in keys.tolist() if key} == ngrams_of(ids[0].tolist())


def test_the_logits_are_the_weights_of_the_distinct_ngrams() -> None:
    head = head_of(TEXTS)
    rows = [TOKENIZER.encode(text).ids for text in TEXTS]
    ids, mask = np.zeros((2, len(rows) + 1, max(map(len, rows))), np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, 1
    logits = head.logits(ids, mask)
    wanted = [expected(head, tokens_of(text)) for text in TEXTS]
    assert np.abs(wanted).max() > 0.1
    assert logits[:-1] == pytest.approx(np.array(wanted), abs=1e-5)
    assert not logits[-1].any(), "a row that only pads the batch has no n-grams"


def test_verdicts_add_them_to_the_logits_of_the_encoder(tmp_path: Path) -> None:
    head = head_of(TEXTS)
    texts = [text for text in TEXTS if len(text) < EMBEDDED.max_tokens]
    plain, headed = (classifier(pack).classify(texts) for pack in (PLAIN, with_head(tmp_path, head)))
    for text, without, verdict in zip(texts, plain, headed, strict=True):
        negative, positive = expected(head, tokens_of(text))
        assert margin(verdict) - margin(without) == pytest.approx(positive - negative, abs=1e-4), text


def test_a_text_has_one_verdict_alone_in_batches_and_from_the_cache(tmp_path: Path) -> None:
    texts = [*TEXTS, *("".join(random.Random(n).choices("好不来老板面，。房龘", k=n)) for n in range(1, 60))]
    pack = with_head(tmp_path, head_of(texts))
    options = Options(explain=True, sentences=True, on_long_text=OnLongText.WINDOW)
    questions = [Question(text, options) for text in texts]
    uncached, cached = classifier(pack), classifier(pack, cache_rows=10_000)
    alone = [uncached.answer([question])[0] for question in questions]
    assert uncached.answer(questions[::-1])[::-1] == alone
    cached.answer(questions)
    again = [
        replace(verdict, cached=False) for verdict in cached.answer(questions) if isinstance(verdict, Verdict)
    ]
    assert again == alone


def test_a_highlight_shows_what_an_ngram_says(tmp_path: Path) -> None:
    ids = np.array([tokens_of("龙井")], np.int64)
    key = ngram_keys(ids, np.ones_like(ids)).max()
    weights, ratios = np.array([[-127, 127]], np.int8), np.ones((1, 2), np.uint8)
    head = NgramHead(np.array([key]), weights, ratios, np.ones(2, np.float32))
    question = Question("桌子是木头的，茶是龙井", Options(explain=True))
    (verdict,) = classifier(with_head(tmp_path, head)).answer([question])
    assert isinstance(verdict, Verdict)
    assert verdict.highlights is not None
    assert verdict.label == "positive"
    assert verdict.highlights[1].weight > 0.9


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"keys": np.array([2, 1], np.uint64)}, "keys are not in ascending order"),
        ({"keys": np.array([1, 1], np.uint64)}, "keys are not in ascending order"),
        ({"keys": np.array([1], np.uint64)}, r"weights is int8 \(2, 2\), expected int8 \(1, 2\)"),
        ({"weights": np.zeros((2, 3), np.int8)}, r"weights is int8 \(2, 3\), expected int8 \(2, 2\)"),
        ({"weights": np.zeros((2, 2), np.float32)}, "weights is float32"),
        ({"ratios": np.zeros((2, 1), np.uint8)}, r"ratios is uint8 \(2, 1\), expected uint8 \(2, 2\)"),
        ({"scale": np.array([1, np.nan], np.float32)}, "scale is not finite"),
        (dict.fromkeys(("weights", "ratios"), np.zeros((0, 2))) | {"keys": np.zeros(0)}, "keys is float64"),
    ],
)
def test_a_malformed_head_is_refused(tmp_path: Path, change: dict[str, NDArray[np.int8]], cause: str) -> None:
    table = np.zeros((2, 2), np.int8)
    head = NgramHead(np.array([1, 2], np.uint64), table, table.astype(np.uint8), np.ones(2, np.float32))
    pack = with_head(tmp_path, replace(head, **change))  # type: ignore[arg-type]  # which is the point
    with pytest.raises(PackError, match=rf"ngrams\.npz: {cause}"):
        build_engine(pack, "openvino", device="cpu", threads=1)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + bytes(40)])
def test_a_file_that_is_no_head_is_refused(tmp_path: Path, content: bytes) -> None:
    pack = with_head(tmp_path, head_of(TEXTS))
    pack.path(NGRAMS_FILE).write_bytes(content)
    with pytest.raises(PackError, match=r"ngrams\.npz: cannot be read"):
        build_engine(pack, "openvino", device="cpu", threads=1)


def test_ids_that_do_not_fit_a_key_are_refused(tmp_path: Path) -> None:
    pack = with_head(tmp_path, head_of(TEXTS))
    large = replace(pack, architecture={**pack.architecture, "vocabulary": 65_536})
    with pytest.raises(PackError, match=r"ngrams\.npz: needs a vocabulary of at most 65535, .* has 65536"):
        build_engine(large, "openvino", device="cpu", threads=1)
