"""The BERT tokenizer of a pack: `vocab.txt` to token ids, those that `transformers.BertTokenizer` gives."""

import os
import re
import unicodedata
from functools import cache
from itertools import groupby
from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

PAD, UNKNOWN, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNKNOWN, CLS, SEP, MASK)
SURROGATE = re.compile("[\ud800-\udfff]")

# What BERT calls punctuation, and the blocks of Han, each character of which is a word.
_ALONE = (
    r"[\p{P}$+<=>^`|~\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}"
    r"\x{20000}-\x{2A6DF}\x{2A700}-\x{2CEAF}\x{2F800}-\x{2FA1F}]"
)
_PLANES = 0x40000  # code points from here on are unassigned or private, which every Unicode table says


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
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(_ALONE), "isolated")]
    )
    tokenizer.post_processor = processors.BertProcessing((SEP, ids[SEP]), (CLS, ids[CLS]))
    # Written in a text, they are what they name: so BERT reads them.
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


@cache
def _normalizer() -> normalizers.Normalizer:
    """Drop control characters and accents, lower the case.

    `BertNormalizer` would be the ready choice, but its Unicode tables and its blocks of Han have gaps.
    """
    dropped = rf"[[\p{{C}}\x{{FFFD}}{_unassigned()}]&&[^\t\n\r]]"
    return normalizers.Sequence(
        [
            normalizers.Replace(Regex(dropped), ""),
            normalizers.NFD(),
            normalizers.Replace(Regex(r"\p{Mn}"), ""),
            normalizers.Lowercase(),
        ]
    )


def _unassigned() -> str:
    """Ranges of the code points that this Python does not know: BERT's own tokenizer asks it as well."""
    assigned = groupby(range(_PLANES), lambda point: unicodedata.category(chr(point)) != "Cn")
    gaps = [list(run) for known, run in assigned if not known]
    return "".join(rf"\x{{{gap[0]:X}}}-\x{{{gap[-1]:X}}}" for gap in gaps)
