"""What a classifier returns beyond the plain verdict: long texts, sentences, clauses, uncertainty."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.vocabulary.items import Outcome
from tasks.vocabulary.options import MAX_CLAUSES, MAX_SENTENCES, PLAIN, OnLongText, Options
from tasks.vocabulary.verdicts import TooManyTokens, Verdict
from worker.engines.engine import Tokens
from worker.engines.factory import build_engine
from worker.packs.pack import load_pack
from worker.scoring.classifier import Classifier
from worker.scoring.question import Question
from worker.scoring.windows import Rows, masked_out, windowed

EMBEDDED = load_pack(Path(__file__).parents[2] / "models" / "embedded")
WINDOW, REJECT = Options(OnLongText.WINDOW), Options(OnLongText.REJECT)
EVERYTHING = Options(sentences=True, explain=True)
MIXED = "房间很干净，服务也很热情！就是早餐太难吃了，不推荐。"
LONG = "".join(f"第{i}天，房间很干净，服务也不错！" for i in range(40))

ODD = {
    "traditional": "這家餐廳的味道實在是太棒了，服務卻很糟糕！",
    "full-width": "ＡＢＣ　１２３！？很好，不错",  # noqa: RUF001  on purpose
    "emoji": "👨‍👩‍👧‍👦全家都说好😀！🇨🇳下次还来，👍🏽",
    "mixed English": "iPhone 15 Pro很nice, but续航a bit差! I don't like it.",
    "beyond the BMP": "𠮷野家𪚥，很好吃！𠀋差。",
    "control characters": "\x00好\x01用，\x07但\x7f是\u200b贵！\x85差\u2028很好",
    "no word at all": "\x00\x07",
    "lone surrogate": "\ud800好，差！",
    "10,000 code points": "很好，𠮷太差了！" * 1250,
    "10,000 without a mark": "好" * 10_000,
    "10,000 marks": "！" * 10_000,
}


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    engine = build_engine(EMBEDDED, "openvino", device="cpu", threads=1)
    return Classifier(EMBEDDED, engine, batch_tokens=1024)


def verdict(classifier: Classifier, text: str, options: Options = PLAIN) -> Verdict:
    (outcome,) = classifier.answer([Question(text, options)])
    assert isinstance(outcome, Verdict)
    return outcome


class Counting:
    """An engine whose logit is the number of ones in a row; it counts its forwards and rows."""

    def __init__(self) -> None:
        self.forwards = self.rows = 0

    def logits(self, ids: Tokens, mask: Tokens, _segments: Tokens | None = None) -> NDArray[np.float32]:
        self.forwards += 1
        self.rows += int(mask.any(1).sum())
        total = (ids * mask == 1).sum(1)
        return np.stack([0 * total, total], 1).astype(np.float32)


def read_by(tokens: int) -> Classifier:
    """Return a classifier for a pack with that `max_tokens`, with an engine that computes nothing."""
    return Classifier(replace(EMBEDDED, max_tokens=tokens), Counting(), batch_tokens=1024)


def code_points_read(classifier: Classifier, text: str, options: Options) -> int:
    """Return the tokens of all rows that a text needs, without [CLS] and [SEP]."""
    question, rows = Question(text, options), Rows(0, 0)
    classifier._prepare(question, classifier._encode([question])[0], rows)
    return sum(len(row) - 2 for row in rows.all())


@pytest.mark.parametrize("max_tokens", [3, 8, 32, 256, 512])
def test_no_text_costs_more_than_its_price(max_tokens: int) -> None:
    rng, classifier = random.Random(max_tokens), read_by(max_tokens)
    alphabet = "好坏得。！，、：…\n aB1사란라\u0301İé𠮷😀.?\x00ﬁ가\ud800"
    texts = [*ODD.values(), "字，" * 5000, "字" * 10_000, ("句" * 77 + "。") * 128, "사라" * 300, "x " * 999]
    for _ in range(150):
        weights = [rng.random() ** 4 for _ in alphabet]
        texts.append("".join(rng.choices(alphabet, weights, k=rng.choice((1, 9, 30, 300, 2000)))))
    for on_long_text in OnLongText:
        for sentences, explain in ((False, False), (True, False), (False, True), (True, True)):
            options = Options(on_long_text, sentences, explain)
            for text in texts[:: 1 if max_tokens == EMBEDDED.max_tokens else 7]:
                read = code_points_read(classifier, text, options)
                assert read <= options.cost(text, max_tokens), f"{text[:40]!r} {options}"


@pytest.mark.parametrize(
    ("every", "mark", "options", "times"),
    [
        (9, "，", Options(OnLongText.WINDOW), 20),
        (9, "，", Options(explain=True), 10),
        (78, "。", Options(sentences=True), 10),
        (78, "。", Options(OnLongText.WINDOW, sentences=True, explain=True), 80),
    ],
)
def test_a_price_follows_what_is_read_and_not_only_the_length(
    every: int, mark: str, options: Options, times: int
) -> None:
    letters = random.Random(1).choices("好坏差太很不屏幕客服菜味道的了人", k=10_000)
    text = "".join(mark if i % every == 0 else letter for i, letter in enumerate(letters, 1))
    price, plain = options.cost(text, EMBEDDED.max_tokens), PLAIN.cost(text, EMBEDDED.max_tokens)
    assert price > times * plain
    read = code_points_read(read_by(EMBEDDED.max_tokens), text, options)
    assert price < 2.5 * read, "nor is it out of proportion"


def test_options_for_long_texts_do_not_change_a_text_that_fits(
    classifier: Classifier,
) -> None:
    assert (
        verdict(classifier, MIXED, WINDOW) == verdict(classifier, MIXED, REJECT) == verdict(classifier, MIXED)
    )


def test_a_long_text_is_truncated_or_read_in_windows_or_rejected(classifier: Classifier) -> None:
    text = "很好" * 200
    cut, read_whole = verdict(classifier, text), verdict(classifier, text, WINDOW)
    assert (cut.tokens, cut.text_tokens, cut.truncated) == (256, 402, True)
    assert (read_whole.tokens, read_whole.text_tokens, read_whole.truncated) == (402, 402, False)
    assert classifier.answer([Question(text, REJECT)]) == [TooManyTokens(402, 256)]
    assert isinstance(classifier.answer([Question("好" * 254, REJECT)])[0], Verdict)


def test_the_end_of_a_long_text_counts_only_in_windows(classifier: Classifier) -> None:
    text = "，".join(["质量很好，非常满意"] * 28) + "，质量太差了，非常失望，再也不买了，垃圾" * 40
    assert verdict(classifier, text).label == "positive"
    assert verdict(classifier, text, WINDOW).label == "negative"


@pytest.mark.parametrize("tokens", [11, 12, 17, 18, 19, 100, 1001])
def test_windows_are_full_overlap_and_reach_from_the_first_to_the_last_token(tokens: int) -> None:
    text = windowed(range(tokens), Rows(-1, -2), 10, OnLongText.WINDOW)
    assert {end - begin for begin, end in text.windows} == {10}
    begins = [begin for begin, _ in text.windows]
    assert (begins[0], text.end) == (0, tokens)
    assert all(0 < after - before <= 7 for before, after in pairwise(begins))


def test_windows_are_weighted_by_length() -> None:
    rows = Rows(-1, -2)
    whole = windowed(range(14), rows, 10, OnLongText.WINDOW)
    assert whole.windows == [(0, 10), (4, 14)]
    part = masked_out(range(14), (2, 10), whole, rows)
    assert rows.all() == [
        (-1, *range(10), -2), (-1, *range(4, 14), -2), (-1, 0, 1, -2), (-1, 10, 11, 12, 13, -2)
    ]  # fmt: skip
    assert whole.logits(np.array([[1.0, 0.0], [3.0, 8.0], [0.0, 0.0], [0.0, 0.0]])) == [2, 4]
    assert part.logits(np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 9.0], [6.0, 0.0]])) == [5, 3]


def test_each_sentence_has_the_verdict_that_it_has_alone(classifier: Classifier) -> None:
    answer = verdict(classifier, MIXED, Options(sentences=True))
    assert answer.highlights is None
    assert [MIXED[each.start : each.end] for each in answer.sentences or []] == [
        *("房间很干净，服务也很热情！", "就是早餐太难吃了，不推荐。")
    ]
    for each in answer.sentences or []:
        assert each.verdict == verdict(classifier, MIXED[each.start : each.end])
    assert [each.verdict.label for each in answer.sentences or []] == ["positive", "negative"]
    assert replace(answer, sentences=None) == verdict(classifier, MIXED)


@pytest.mark.parametrize("text", ["很好", "  房间很干净，服务也不错！\n", "好" * 400])
@pytest.mark.parametrize("on_long_text", [OnLongText.TRUNCATE, OnLongText.WINDOW])
def test_a_text_of_one_sentence_has_one_with_the_verdict_of_the_text(
    classifier: Classifier, text: str, on_long_text: OnLongText
) -> None:
    answer = verdict(classifier, text, Options(on_long_text, sentences=True))
    (only,) = answer.sentences or []
    assert text[only.start : only.end] == text.strip()
    assert only.verdict == replace(answer, sentences=None)


def test_sentences_after_the_truncation_have_verdicts_too(classifier: Classifier) -> None:
    answer = verdict(classifier, LONG, Options(sentences=True))
    assert answer.truncated
    assert len(answer.sentences or []) == 40
    assert not any(each.verdict.truncated for each in answer.sentences or [])


def test_clauses_have_the_sign_of_their_sentiment(classifier: Classifier) -> None:
    text = "质量很好，非常满意。就是快递太差了，非常失望"
    highlights = verdict(classifier, text, Options(explain=True)).highlights or []
    weights = {text[each.start : each.end]: each.weight for each in highlights}
    assert list(weights) == ["质量很好，", "非常满意。", "就是快递太差了，", "非常失望"]
    # The middle clauses stay near zero on some processors, so only the clear ones are compared.
    assert weights["非常满意。"] > 0 > weights["非常失望"]
    assert sum(map(abs, weights.values())) == pytest.approx(1)


def test_a_weight_is_the_fall_of_the_logit_without_the_clause(classifier: Classifier) -> None:
    def logit(text: str) -> float:
        positive = verdict(classifier, text).kept[1]
        return float(np.log(positive / (1 - positive)))

    parts = ["房间很干净，", "服务也很热情！", "就是早餐太难吃了，", "不推荐。"]
    falls = [logit(MIXED) - logit(MIXED.replace(part, "")) for part in parts]
    expected = [fall / sum(map(abs, falls)) for fall in falls]
    highlights = verdict(classifier, MIXED, Options(explain=True)).highlights or []
    assert [each.weight for each in highlights] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("text", "weight"), [(" 非常满意！ ", 1), ("太差了", -1)])
def test_the_only_clause_of_a_text_has_the_whole_weight(
    classifier: Classifier, text: str, weight: float
) -> None:
    (only,) = verdict(classifier, text, Options(explain=True)).highlights or []
    assert (text[only.start : only.end], only.weight) == (text.strip(), weight)


def test_only_the_clauses_before_the_truncation_have_a_weight(classifier: Classifier) -> None:
    cut = verdict(classifier, LONG, Options(explain=True)).highlights or []
    whole = verdict(classifier, LONG, Options(OnLongText.WINDOW, explain=True)).highlights or []
    assert 240 <= cut[-1].end < 300
    assert whole[-1].end == len(LONG)
    assert len(cut) == len(whole) == MAX_CLAUSES
    assert all(each.weight for each in (*cut, *whole))


def test_all_questions_are_scored_in_one_pass() -> None:
    engine = Counting()
    classifier = Classifier(EMBEDDED, engine, batch_tokens=4096)
    classifier.answer([Question(MIXED, EVERYTHING), Question("很好"), Question("很好", EVERYTHING)])
    # The text, two sentences, four clauses left out; the other text, whose parts are the same row.
    assert engine.rows == 1 + 2 + 4 + 1
    assert engine.forwards == 3, "three rows of up to 16 tokens, then four and one of up to 32"


def test_a_verdict_is_uncertain_below_the_confidence_of_the_pack(classifier: Classifier) -> None:
    engine = build_engine(EMBEDDED, "openvino", device="cpu", threads=1)

    def uncertain(bound: float) -> list[bool]:
        classifier = Classifier(replace(EMBEDDED, uncertain_below=bound), engine, batch_tokens=512)
        return [each.uncertain for each in classifier.classify(texts)]

    texts = ["质量很好，非常满意", "昨天到的", MIXED]
    middle = sorted(each.confidence for each in classifier.classify(texts))[1]
    assert sum(uncertain(middle)) == 1, "the least confident, and not the one at the bound"
    assert (sum(uncertain(0.5)), sum(uncertain(1.0))) == (0, 3)


@pytest.mark.parametrize("on_long_text", OnLongText)
@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_texts_get_sensible_answers_with_every_option(
    classifier: Classifier, text: str, on_long_text: OnLongText
) -> None:
    outcomes = classifier.answer([Question(text, Options(on_long_text, sentences=True, explain=True))])
    assert [is_sensible(outcome, text, on_long_text) for outcome in outcomes] == [True]


def is_sensible(outcome: Outcome, text: str, on_long_text: OnLongText) -> bool:
    if isinstance(outcome, TooManyTokens):
        return on_long_text is OnLongText.REJECT and outcome.tokens > 256
    assert isinstance(outcome, Verdict)
    assert outcome.truncated is (on_long_text is OnLongText.TRUNCATE and outcome.text_tokens > 256)
    sentences, highlights = outcome.sentences or [], outcome.highlights or []
    assert 1 <= len(sentences) <= MAX_SENTENCES
    assert len(highlights) <= MAX_CLAUSES
    assert all(0 <= each.verdict.kept[1] <= 1 for each in sentences)
    ends = [0, *(position for each in sentences for position in (each.start, each.end)), len(text)]
    assert ends == sorted(ends)
    assert not "".join(text[end:start] for end, start in zip(ends[::2], ends[1::2], strict=True)).strip()
    # Without a token there is nothing to weigh.
    assert sum(abs(each.weight) for each in highlights) == pytest.approx(float(outcome.tokens > 2))
    return True


def test_offsets_count_code_points(classifier: Classifier) -> None:
    text = "𠮷野家𪚥，很好吃👨‍👩‍👧‍👦！𠀋差。"
    answer = verdict(classifier, text, EVERYTHING)
    assert [text[each.start : each.end] for each in answer.sentences or []] == [
        "𠮷野家𪚥，很好吃👨‍👩‍👧‍👦！",
        "𠀋差。",
    ]
    assert [text[each.start : each.end] for each in answer.highlights or []] == [
        *("𠮷野家𪚥，", "很好吃👨‍👩‍👧‍👦！", "𠀋差。")
    ]
