"""A verdict depends on its text alone, not on the batch; every text gets one."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import replace
from itertools import product, starmap
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from samples.shipped import read_calibration
from tasks.vocabulary.options import PLAIN, OnLongText, Options
from tasks.vocabulary.verdicts import Verdict
from worker.engines.engine import EngineError, Tokens
from worker.engines.factory import build_engine
from worker.packs.pack import load_pack
from worker.scoring.batches import LENGTHS, ROWS
from worker.scoring.classifier import Classifier
from worker.scoring.question import Question
from worker.scoring.tokenizer import load_tokenizer

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "models" / "embedded"
TEXTS = read_calibration()
OPTIONS = [Options(*values) for values in product(OnLongText, (False, True), (False, True))]


class Recording:
    """An engine whose logits depend on the ids alone; it records the shapes of its inputs."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.read_padding = False

    def logits(self, ids: Tokens, mask: Tokens, _segments: Tokens | None = None) -> NDArray[np.float32]:
        self.shapes.append(ids.shape)
        self.read_padding |= bool(((mask != 0) != (ids != 0)).any())
        total = (ids * mask).sum(1) / 1e5
        return np.stack([-total, total], 1).astype(np.float32)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    pack = load_pack(EMBEDDED)
    engine = build_engine(pack, "openvino", device="cpu", threads=1)
    return Classifier(pack, engine, batch_tokens=1024)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("batches", [50, pytest.param(1000, marks=pytest.mark.long)])
def test_an_answer_is_the_same_bit_for_bit_in_random_batches(classifier: Classifier, batches: int) -> None:
    generator = random.Random(7)
    short = generator.sample([text for text in TEXTS if len(text) <= 40], 16)
    texts = [*short, "".join(short)]
    alone = {
        question: classifier.answer([question])[0] for question in starmap(Question, product(texts, OPTIONS))
    }
    plain = [question for question in alone if question.options == PLAIN]
    for _ in range(batches):
        batch = [*generator.choices(plain, k=generator.randint(1, 6)), generator.choice(list(alone))]
        generator.shuffle(batch)
        assert classifier.answer(batch) == [alone[question] for question in batch]


def test_the_token_budget_does_not_change_a_verdict(classifier: Classifier) -> None:
    pack = load_pack(EMBEDDED)
    engine = build_engine(pack, "openvino", device="cpu", threads=1)
    assert Classifier(pack, engine, batch_tokens=4096).classify(TEXTS) == classifier.classify(TEXTS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\x00\x01\x1f\x7f\x85\u2028",
        "ＡＢＣ１２３！？",  # noqa: RUF001  full-width on purpose
        "這家餐廳的味道實在是太棒了",
        "😀👨‍👩‍👧‍👦🇨🇳" * 20,
        "𠮷野家𪚥",
        "\ud800 lone surrogate",
        "\u0301" * 500,
        "好" * 10_000,
        "a" * 10_000,
        "👍" * 10_000,
        "[CLS] [SEP] [MASK] [PAD] [UNK]",
    ],
)
def test_odd_texts_get_a_verdict(classifier: Classifier, text: str) -> None:
    (verdict,) = classifier.classify([text])
    assert 0 <= verdict.kept[1] <= 1
    assert 2 <= verdict.tokens <= 256


@pytest.mark.parametrize("text", ["𠮷𠮷", "龘龘", "龘龘！", "👍👍👍", "龘" * 300, "龘龘龘好"])
def test_a_text_of_unknown_words_is_uncertain(classifier: Classifier, text: str) -> None:
    assert classifier.classify([text])[0].uncertain


def test_an_unknown_word_among_known_ones_casts_no_doubt(classifier: Classifier) -> None:
    known, mixed = classifier.classify([f"质量很好{word}，非常满意，推荐购买！" for word in ("", "龘")])
    assert (known.uncertain, mixed.uncertain) == (False, False)


def test_a_sentence_of_unknown_words_is_uncertain(classifier: Classifier) -> None:
    question = Question("质量很好，非常满意，推荐购买！龘龘龘。", Options(sentences=True))
    (verdict,) = classifier.answer([question])
    assert isinstance(verdict, Verdict)
    assert [sentence.verdict.uncertain for sentence in verdict.sentences or ()] == [False, True]


def test_what_is_not_reached_in_time_has_no_outcome_and_is_not_cached() -> None:
    engine = Recording()
    classifier = Classifier(load_pack(EMBEDDED), engine, batch_tokens=32, cache_rows=100)
    questions = [Question(text) for text in TEXTS[:20]]

    def wait() -> None:
        time.sleep(0.02)

    early = classifier.answer_until(questions, time.monotonic() + 0.05, on_batch=wait)
    assert {type(outcome) for outcome in early} == {Verdict, type(None)}
    reached = sum(outcome is not None for outcome in early)
    late = classifier.answer(questions)
    assert sum(isinstance(each, Verdict) and each.cached for each in late) == reached


def test_a_long_text_is_marked_as_truncated(classifier: Classifier) -> None:
    short, long = classifier.classify(["好" * 254, "好" * 255])
    assert (short.tokens, short.text_tokens, short.truncated) == (256, 256, False)
    assert (long.tokens, long.text_tokens, long.truncated) == (256, 257, True)


def test_no_texts_give_no_verdicts(classifier: Classifier) -> None:
    assert classifier.classify([]) == []


def test_plain_praise_is_positive_and_a_complaint_negative(classifier: Classifier) -> None:
    praise, complaint = classifier.classify(
        ["质量很好，非常满意，推荐购买！", "质量太差了，非常失望，再也不买了。"]
    )
    assert praise.kept[1] > 0.8
    assert complaint.kept[1] < 0.2


def test_batches_keep_to_the_budget_and_to_few_shapes() -> None:
    engine = Recording()
    texts = [text[:n] for text in TEXTS for n in (5, 20, 60, 250)]
    Classifier(load_pack(EMBEDDED), engine, batch_tokens=512).classify(texts)
    assert all(rows * length <= 512 for rows, length in engine.shapes)
    assert {rows for rows, _ in engine.shapes} <= set(ROWS)
    assert {length for _, length in engine.shapes} <= set(LENGTHS)
    assert not engine.read_padding, "a mask covers every token and nothing else"


def test_a_pack_that_depends_on_the_batch_is_scored_row_by_row() -> None:
    recording, pack = Recording(), load_pack(EMBEDDED)
    dependent = replace(pack, measured={**pack.measured, "batch_invariant": False})
    engine = build_engine(dependent, "openvino", device="cpu", threads=1)
    verdicts = Classifier(dependent, recording, batch_tokens=engine.batch_tokens).classify(TEXTS)
    assert {rows for rows, _ in recording.shapes} == {1}
    assert verdicts == Classifier(pack, Recording(), batch_tokens=512).classify(TEXTS)


def test_verdicts_come_back_in_the_order_of_the_texts() -> None:
    classifier = Classifier(load_pack(EMBEDDED), Recording(), batch_tokens=512)
    together = classifier.classify(TEXTS)
    assert together == [classifier.classify([text])[0] for text in TEXTS]


def test_on_batch_is_called_before_every_forward_and_can_stop_the_pass() -> None:
    engine, calls = Recording(), []
    classifier = Classifier(load_pack(EMBEDDED), engine, batch_tokens=256)
    classifier.classify(TEXTS, on_batch=lambda: calls.append(len(engine.shapes)))
    assert calls == list(range(len(engine.shapes)))

    def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        classifier.classify(TEXTS, on_batch=stop)


def test_a_known_text_has_its_known_ids(tmp_path: Path) -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "我", "爱", "ab", "##c", "！"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n", "utf-8")
    assert load_tokenizer(tmp_path / "vocab.txt").encode("我爱 ABC你！").ids == [2, 5, 6, 7, 8, 1, 9, 3]


def test_equal_ids_come_from_texts_that_differ_only_in_spacing_and_case(classifier: Classifier) -> None:
    plain, spaced = classifier.tokenize(["iPhone很好", " IPHONE 很 好 "])
    assert plain.ids == spaced.ids


def test_an_unknown_engine_or_device_is_refused_with_a_remedy() -> None:
    pack = load_pack(EMBEDDED)
    with pytest.raises(EngineError, match="choose openvino or torch"):
        build_engine(pack, "onnx", device="cpu", threads=1)
    with pytest.raises(EngineError, match="use engine torch"):
        build_engine(pack, "openvino", device="cuda", threads=1)


def test_the_runtime_imports_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, worker.scoring.classifier, worker.engines.openvino\n"
        "print({'torch', 'transformers'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
