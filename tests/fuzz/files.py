"""Files of packs, which users make and copy."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from tests.fuzz.target import Target
from worker.packs.ngrams import read_head
from worker.packs.pack import PackError, load_pack

FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
VOCABULARY, LABELS = 5678, 2


def pack(data: bytes) -> None:
    """Read a description of a pack."""
    (FOLDER / "pack.json").write_bytes(data)
    with suppress(PackError):
        load_pack(FOLDER)


def ngrams(data: bytes) -> None:
    """Read a table of n-grams."""
    path = FOLDER / "ngrams.npz"
    path.write_bytes(data)
    with suppress(PackError):
        read_head(path, VOCABULARY, LABELS)


WORDS = [b'"format"', b'"labels"', b'"files"', b'"architecture"', b'"temperature"', b'"measured"', b'"id"']
TARGETS = [Target("pack", pack, 3, WORDS), Target("ngrams", ngrams, 2)]
