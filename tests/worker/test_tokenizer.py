"""Token ids equal those of BERT's own tokenizer; `make parity` compares ten thousand texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from worker.scoring.tokenizer import SPECIAL_TOKENS, load_tokenizer

PIECES = [*SPECIAL_TOKENS, "好", "a", "##b", "b", "𫠠", "！", "⹕", "i", "e", "##c", "的"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "vocab.txt"
    path.write_text("".join(piece + "\n" for piece in PIECES), "utf-8")
    return load_tokenizer(path)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("好AB", ["好", "a", "##b"]),
        ("a[SEP]b [sep]", ["a", "[SEP]", "b", "[UNK]", "[UNK]", "[UNK]"]),
        ("a𫠠b", ["a", "𫠠", "b"]),
        ("a⹕b", ["a", "⹕", "b"]),
        ("a\u0378b\u200b\U000e0041", ["a", "##b"]),
        ("a\u0898b\u0301", ["a", "##b"]),
        ("\u0130\u00e9\u0327c", ["[UNK]"]),
        ("\u0130 \u00e9\u0327c", ["i", "e", "##c"]),
        ("a\x00\ufffdb\x85", ["a", "##b"]),
        ("a\tb\u2028a\u3000b\u00a0a", ["a", "b", "a", "b", "a"]),
        ("a" + "b" * 99, ["a", *["##b"] * 99]),
        ("a" + "b" * 100, ["[UNK]"]),
        ("\uf9fa", ["[UNK]"]),
        ("", []),
    ],
)
def test_a_text_has_the_tokens_that_bert_gives_it(tokenizer: Tokenizer, text: str, tokens: list[str]) -> None:
    assert tokenizer.encode(text).tokens == ["[CLS]", *tokens, "[SEP]"]


def test_a_token_has_its_offsets_in_the_text(tokenizer: Tokenizer) -> None:
    text = "\x00好\ufffd A\u0301B\U000e0041！𫠠的"
    offsets = tokenizer.encode(text).offsets[1:-1]
    assert [text[start:end] for start, end in offsets] == ["好", "A", "B", "！", "𫠠", "的"]


def test_a_vocabulary_without_its_special_tokens_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n好\n", "utf-8")
    with pytest.raises(ValueError, match=r"vocab\.txt: lacks the special tokens \[CLS\], \[SEP\], \[MASK\]"):
        load_tokenizer(tmp_path / "vocab.txt")
