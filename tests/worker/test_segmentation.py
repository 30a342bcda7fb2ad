"""Sentences and clauses end where a reader ends them; offsets are code points of the submitted text."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from tasks.vocabulary.options import MAX_CLAUSES, MAX_SENTENCES
from worker.scoring.segmentation import Span, clauses, sentences


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("味道好。服务差！还来吗？来；走…", ["味道好。", "服务差！", "还来吗？", "来；", "走…"]),
        ("好! 差? 行; 走", ["好!", "差?", "行;", "走"]),
        ("太好了！！！真的？！没想到……算了...", ["太好了！！！", "真的？！", "没想到……", "算了..."]),
        ("他说“很好！”我信。（真的。）走", ["他说“很好！”", "我信。", "（真的。）", "走"]),
        ('他说"很好！"我说"走。"', ['他说"很好！"', '我说"走。"']),
        ("真好。\n\n  差\r\n一行\u2028两行", ["真好。", "差", "一行", "两行"]),
        ("3.5元，打8.8折", ["3.5元，打8.8折"]),
        (
            "见https://a.cn/x?y=1;z!3。好 www.b.cn/?q 差！",
            ["见https://a.cn/x?y=1;z!3。", "好 www.b.cn/?q 差！"],
        ),
        ("A&amp;B&#33;好", ["A&amp;B&#33;好"]),
        ("  只有一句　", ["只有一句"]),
        ("！！！", ["！！！"]),
        (" \n　", []),
        ("", []),
    ],
)
def test_sentences_end_at_their_marks_and_at_line_ends(text: str, parts: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("屏幕好，音质、手感：都行。值", ["屏幕好，", "音质、", "手感：", "都行。", "值"]),
        ("价格1,000,不贵 12:30到:准时", ["价格1,000,", "不贵 12:30到:", "准时"]),
        ("很好 推荐\u3000再来 iPhone 好用", ["很好", "推荐", "再来 iPhone 好用"]),
        ("见http://a.cn/x,y:1，好", ["见http://a.cn/x,y:1，", "好"]),
        ("𠮷野家 𠀋好吃", ["𠮷野家", "𠀋好吃"]),
    ],
)
def test_clauses_end_at_smaller_marks_too(text: str, parts: list[str]) -> None:
    assert [text[start:end] for start, end in clauses(text)] == parts


@pytest.mark.parametrize("cut", [sentences, clauses])
def test_only_space_is_left_out(cut: Callable[[str], list[Span]]) -> None:
    text = "一，二。 三！\n四 五 (六) “七。”八…" * 400
    spans = cut(text)
    kept = "".join(text[start:end] for start, end in spans)
    assert "".join(kept.split()) == "".join(text.split())
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_the_number_of_sentences_and_clauses_is_limited() -> None:
    text = "好。" * 500
    spans = sentences(text)
    assert len(spans) == MAX_SENTENCES
    assert spans[:2] == [(0, 2), (2, 4)]
    assert spans[-1] == (2 * (MAX_SENTENCES - 1), 1000), "the last holds the rest"
    spans = clauses(text)
    assert len(spans) == MAX_CLAUSES
    assert {(end - start) // 2 for start, end in spans} == {15, 16}, "neighbours share evenly"
    assert (spans[0][0], spans[-1][1]) == (0, 1000)


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "text", ['"。' * 50_000, "&" * 100_000, "http://" * 15_000, " " * 100_000, "." * 99_999]
)
def test_no_text_takes_long_to_split(text: str) -> None:
    assert len(sentences(text)) <= MAX_SENTENCES
    assert len(clauses(text)) <= MAX_CLAUSES
