"""The BERT tokenizer of a pack: `vocab.txt` to token ids."""

import os
from pathlib import Path

from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

PAD, UNKNOWN, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNKNOWN, CLS, SEP, MASK)


def load_tokenizer(vocabulary: Path) -> Tokenizer:
    """Build the uncased Chinese BERT tokenizer over a `vocab.txt` (a token a line; line numbers are the ids).

    It adds [CLS] and [SEP] and neither truncates nor pads. Raises ValueError when a special token is missing.
    """
    # Not splitlines(): rarer line separators are tokens.
    pieces = vocabulary.read_text("utf-8").rstrip("\n").split("\n")
    ids = {piece: number for number, piece in enumerate(pieces)}
    missing = [token for token in SPECIAL_TOKENS if token not in ids]
    if missing:
        raise ValueError(f"{vocabulary.name}: lacks the special tokens {', '.join(missing)}")
    # Its threads would crowd a child's one core, and they do not survive a fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    tokenizer = Tokenizer(WordPiece(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing((SEP, ids[SEP]), (CLS, ids[CLS]))
    return tokenizer
