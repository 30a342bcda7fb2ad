"""The labels behind the names that Chinese classifiers use, those of ModelScope above all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tasks.vocabulary.labels import Label

Names = Mapping[str, Label]


def _named(*entries: tuple[Label, Sequence[str]]) -> Names:
    """Return the labels by their own names and by other names, in lower case."""
    names: dict[str, Label] = {}
    for label, others in entries:
        names |= dict.fromkeys((label.label_zh, label.label_en.lower(), *others), label)
    return names


_SENTIMENT = _named(
    (Label("very_negative", "非常负面", "Very negative", -1, "😡"), ("非常消极", "强烈负面")),
    (
        Label("negative", "负面", "Negative", -1, "😠"),
        ("neg", "负", "负向", "消极", "差评", "贬义", "负面情感", "负面情绪"),
    ),
    (Label("neutral", "中性", "Neutral", 0, "😐"), ("neu", "中", "中立", "中评", "一般", "中性情感")),
    (
        Label("positive", "正面", "Positive", 1, "😊"),
        ("pos", "正", "正向", "积极", "好评", "褒义", "正面情感", "正面情绪"),
    ),
    (Label("very_positive", "非常正面", "Very positive", 1, "😍"), ("非常积极", "强烈正面")),
    (Label("not_mentioned", "未提及", "Not mentioned", 0), ("未提到", "不涉及")),
)

# ModelScope's emotion classifiers have the first seven.
_EMOTION = _named(
    (Label("fear", "恐惧", "Fear", -1, "😨"), ("害怕",)),
    (Label("anger", "愤怒", "Anger", -1, "😠"), ("生气", "angry")),
    (Label("disgust", "厌恶", "Disgust", -1, "🤢"), ()),
    (Label("like", "喜好", "Like", 1, "😍"), ("喜欢", "喜爱", "love")),
    (Label("sadness", "悲伤", "Sadness", -1, "😢"), ("伤心", "sad")),
    (Label("happiness", "高兴", "Happiness", 1, "😊"), ("快乐", "喜悦", "开心", "happy", "joy")),
    (Label("surprise", "惊讶", "Surprise", 0, "😮"), ("惊奇", "surprised")),
    (Label("neutral", "中性", "Neutral", 0, "😐"), ("中立", "平静", "无明显情绪", "无情绪")),
)

_INFERENCE = _named(
    (Label("contradiction", "矛盾", "Contradiction"), ()),
    (Label("entailment", "蕴涵", "Entailment"), ("蕴含",)),
    (Label("neutral", "中立", "Neutral"), ("中性", "无关")),
)

_SIMILARITY = _named(
    (Label("different", "不相似", "Different"), ("不同", "不相同", "不匹配", "dissimilar", "not similar")),
    (Label("similar", "相似", "Similar"), ("相同", "匹配", "same")),
)

_SETS = (_SENTIMENT, _EMOTION, _INFERENCE, _SIMILARITY)


def known_labels(names: Sequence[str]) -> Iterator[Label | None]:
    """Yield the label that each name stands for, None for a name that is unknown.

    One name may stand for several labels: 中立 is a sentiment, an emotion, or the relation of two sentences.
    It is read as in the set that knows the most of the names, the first of equals.
    """
    plain = [" ".join(name.lower().replace("_", " ").split()) for name in names]
    best = max(_SETS, key=lambda known: sum(name in known for name in plain))
    return map(best.get, plain)
