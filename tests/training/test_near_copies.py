"""Near copies: which texts are, which are not, and that many equal texts cost no more than others."""

from __future__ import annotations

import random
import time

import pytest

from training.near_copies import between, group

STORY = "前天下单的台灯今天才到，灯罩裂了一道口子，客服让我自己拿胶水粘一粘，我笑了。"
COPIES = {
    "equal": (STORY, STORY),
    "punctuation, width and case": ("APP一打开就闪退，卸载了！", "app 一打开就闪退 卸载了"),
    "a character replaced in the middle of a short text": ("老板人很好下次还来", "老板人真好下次还来"),
    "a character more": ("老板人很好下次还来", "老板人很好啊下次还来"),
    "one character replaced in a long text": (STORY, STORY.replace("裂", "碎")),
    "part of a longer text": (STORY, "昨天朋友发来的：" + STORY + "后来退货也没人理，电话打了三天都是忙音"),
    "the order of two sentences": (STORY + "再也不来了，谁爱来谁来吧", "再也不来了，谁爱来谁来吧" + STORY),
}
OTHERS = {
    "short texts of another meaning": ("味道很好", "味道很差"),
    "the same subject": ("快递员爬六楼把箱子送上来了", "快递员把箱子扔在一楼就走了"),
    "a shared phrase": (
        STORY,
        "前天下单的台灯今天才到，不过亮度正合适，孩子写作业再也不用趴那么近，晚上眼睛也不酸",
    ),
    "two empty texts and a full one": ("", "味道很好"),
}


@pytest.mark.parametrize("texts", COPIES.values(), ids=COPIES)
def test_near_copies_are_in_one_group(texts: tuple[str, str]) -> None:
    assert group(["一段别的文字，跟它们都没有关系", *texts]).tolist() == [0, 1, 1]
    assert between(texts[:1], ["一段别的文字，跟它们都没有关系", texts[1]]) == [(0, 1)]


@pytest.mark.parametrize("texts", OTHERS.values(), ids=OTHERS)
def test_other_texts_are_in_groups_of_their_own(texts: tuple[str, str]) -> None:
    assert group(texts).tolist() == [0, 1]
    assert between(texts[:1], texts[1:]) == []


def test_copies_within_one_list_are_not_copies_between_two() -> None:
    assert between([STORY, STORY], ["味道很好"]) == []


def test_no_texts_have_no_groups() -> None:
    assert group([]).tolist() == []


def test_copies_of_copies_are_in_one_group() -> None:
    texts = [STORY[:26], STORY[6:32], STORY[12:38]]
    assert between(texts[:1], texts[2:]) == []
    assert group(texts).tolist() == [0, 0, 0]


def test_thousands_of_texts_with_the_same_beginning_are_compared_in_seconds() -> None:
    draw = random.Random(1)
    ending = ["".join(chr(draw.randrange(0x4E00, 0x9FA5)) for _ in range(40)) for _ in range(2_000)]
    texts = ["系统默认好评，买家没有填写评价。" + each for each in ending] + [STORY] * 2_000
    started = time.process_time()
    groups = group(texts)
    assert time.process_time() - started < 10
    assert len(set(groups[:2_000])) == 2_000
    assert set(groups[2_000:]) == {2_000}
