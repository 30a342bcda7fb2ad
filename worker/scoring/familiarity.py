"""How familiar a text is to a pack: whether the pack has learned from texts with the same tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer

from worker.packs.pack import Pack
from worker.packs.seen import read_seen
from worker.scoring.tokenizer import SPECIAL_TOKENS, UNKNOWN

_SEEN, _NEUTRAL, _NEVER_SEEN = -1, 0, 1


def token_weights(pack: Pack, tokenizer: Tokenizer, marks: Iterable[int]) -> list[int] | None:
    """Return a weight for each token: -1 if the pack has learned from it, 1 if not, 0 for `marks`.

    Special tokens weigh 0 too, but [UNK] weighs 1. None if the pack does not record what it has learned from.
    """
    seen = read_seen(pack)
    if seen is None:
        return None
    ids = tokenizer.get_vocab()
    weights = [_SEEN if each else _NEVER_SEEN for each in seen]
    for token in (*marks, *(ids[name] for name in SPECIAL_TOKENS)):
        weights[token] = _NEUTRAL
    weights[ids[UNKNOWN]] = _NEVER_SEEN
    return weights


def is_unfamiliar(tokens: Sequence[int], weights: list[int]) -> bool:
    """Return whether more than half of the tokens that count were never seen."""
    return sum(map(weights.__getitem__, tokens)) > 0
