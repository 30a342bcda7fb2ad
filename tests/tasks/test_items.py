"""A text of which no pack reads anything is empty, whatever characters it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.vocabulary.items import Item, ItemError, is_readable
from worker.scoring.tokenizer import load_tokenizer

VOCABULARY = Path(__file__).parents[2] / "models" / "embedded" / "vocab.txt"
UNREAD = "\u200b\ufeff\x00\u202e\ufe0f\ufffd\u2028\u3000\ud800\u0301\ue000"


@pytest.mark.parametrize("text", [*UNREAD, UNREAD, "\u200b" * 10_000, " \ufeff\n"])
def test_a_text_without_a_character_that_is_read_is_empty(text: str) -> None:
    item = Item.accept(text, 10_000)
    assert (item.error, item.text, item.chars) == (ItemError.EMPTY_TEXT, "", len(text))


@pytest.mark.parametrize("text", ["好", "！", "👍", "1", "a\u0301", "\u200b好", "_", "\u2800", "é", "ⅷ"])
def test_a_text_with_such_a_character_is_not_empty(text: str) -> None:
    assert Item.accept(text, 10_000).error is None


def test_what_counts_as_read_is_what_the_tokenizer_reads() -> None:
    tokenizer = load_tokenizer(VOCABULARY)
    points = [*range(0x3000), *range(0xA000, 0xD800), *range(0xE000, 0x10000), *range(0x1F000, 0x20000)]
    chars = list(map(chr, points))
    tokens = [len(encoding.ids) - 2 for encoding in tokenizer.encode_batch_fast(chars)]
    pairs = zip(chars, tokens, strict=True)
    assert [hex(ord(char)) for char, count in pairs if is_readable(char) != (count > 0)] == []
