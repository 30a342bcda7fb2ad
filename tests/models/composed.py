"""Composed sentences about things that people review, with a label that is plain to every reader."""

from __future__ import annotations

from itertools import product

from tests.models.trained import PairExample, TextExample

# Not in the order of polarity: nothing may assume it.
NAMES = ("中性", "正面", "负面")
_THINGS = ("味道", "服务", "房间", "屏幕", "物流", "包装", "剧情", "老师", "价格", "环境", "音质", "做工")
_WORDS = (
    ("一般般", "普普通通", "中规中矩", "还过得去", "不好不坏", "马马虎虎", "没什么特别的", "平平无奇"),
    ("非常好", "很满意", "特别棒", "超出预期", "让人惊喜", "值得称赞", "太喜欢了", "无可挑剔"),
    ("非常差", "很失望", "特别烂", "远低于预期", "让人生气", "糟糕透顶", "太讨厌了", "一塌糊涂"),
)
_FRAMES = ("{}{}", "{}真的{}。", "我觉得{}{}", "这次的{}{}，就这样", "{}嘛，{}")
_OTHERS = ("用了几天，", "朋友问起来，", "总的来说，")


def sentences() -> tuple[list[TextExample], list[TextExample]]:
    """Return the sentences to learn, and others to judge by: what they say of a thing was not learnt."""
    learnt: list[TextExample] = []
    held_out: list[TextExample] = []
    for number, words in enumerate(_WORDS):
        for (at, thing), (place, word) in product(enumerate(_THINGS), enumerate(words)):
            sentence = _FRAMES[(at + 2 * place) % len(_FRAMES)].format(thing, word)
            if (at + place) % 4:
                learnt.append((sentence, number))
            else:
                held_out.append((_OTHERS[at % len(_OTHERS)] + sentence, number))
    return learnt, held_out


# Not in the order of polarity either.
ASPECT_NAMES = ("正面", "未提及", "负面")


def opinions(texts: int) -> list[PairExample]:
    """Return three pairs for each of so many texts, which praise one thing and blame another.

    A third thing is not mentioned. The three have the same text, so a model must read the aspect to be right.
    """
    examples: list[PairExample] = []
    for at in range(texts):
        good, bad, other = (_THINGS[(at * step + start) % 12] for step, start in ((1, 0), (1, 5), (1, 8)))
        praise, blame = _WORDS[1][at % 8], _WORDS[2][(at + at // 8) % 8]
        parts = [f"{good}{praise}", f"{bad}{blame}"]
        text = "，".join(parts if at % 2 else reversed(parts))
        examples += [((aspect, text), number) for number, aspect in enumerate((good, other, bad))]
    return examples
