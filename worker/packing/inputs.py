"""From the texts of a file to the token rows that graphs are made with and measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

from worker.packs.pack import Input
from worker.scoring.batches import Row
from worker.scoring.tokenizer import load_tokenizer

Pair = tuple[str, str]  # an aspect and a text
# Aspects of the texts that name none.
ASPECTS = ("口味", "服务", "价格", "环境", "质量", "物流", "外观", "性能", "位置", "卫生", "包装", "售后")


def as_inputs(lines: Sequence[str], reads: Input) -> Sequence[str | Pair]:
    """Return the texts in lines, for pairs with their aspects.

    A line of a pair is an aspect, a tab and a text; a text alone gets one of ASPECTS.
    """
    return lines if reads == "text" else list(_pairs(lines))


def encode(texts: Sequence[str | Pair], vocabulary: Path, max_tokens: int) -> list[Row]:
    """Return the token ids of each text or pair, with at most `max_tokens`; of a pair the text is cut.

    An aspect that leaves no room for the text is cut before it.
    """
    pairs = [text for text in texts if not isinstance(text, str)]
    tokenizer = load_tokenizer(vocabulary, pairs=bool(pairs))
    if not pairs:
        encodings = tokenizer.encode_batch_fast(list(map(str, texts)))
        return [_cut(encoding.ids, max_tokens) for encoding in encodings]
    aspects, others = (tokenizer.encode_batch_fast(list(part)) for part in zip(*pairs, strict=True))
    return [
        _cut([*_cut(aspect.ids, max_tokens - 2), *text.ids[1:]], max_tokens)
        for aspect, text in zip(aspects, others, strict=True)
    ]


def joined(rows: Sequence[Row], max_tokens: int, reads: Input = "text") -> list[Row]:
    """Return rows of nearly `max_tokens` tokens, joined from neighbouring rows.

    Activations have a wider range in long rows. Quantised on long rows, long texts drift less and short ones
    no more. Joined pairs have the aspect of the first.
    """
    end = rows[0][-1]
    long: list[list[int]] = []
    for row in rows:
        head = 1 if reads == "text" else row.index(end) + 1
        tail = [*row[head:-1]]
        if not long or len(long[-1]) + len(tail) >= max_tokens:
            long.append([*row[:head]])
        long[-1] += tail
    return [[*row, end] for row in long]


def _pairs(lines: Sequence[str]) -> Iterator[Pair]:
    for line, other in zip(lines, cycle(ASPECTS), strict=False):
        aspect, tab, text = line.partition("\t")
        yield (aspect, text) if tab else (other, line)


def _cut(ids: list[int], max_tokens: int) -> list[int]:
    """Return the ids, cut to `max_tokens` with [SEP] kept."""
    return ids if len(ids) <= max_tokens else [*ids[: max_tokens - 1], ids[-1]]
