"""Read the texts that a model has learned from, to record their tokens in its pack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from worker.evaluate.labelled import read_labelled, read_lines
from worker.scoring.tokenizer import load_tokenizer

_BATCH = 10_000


def tokens_of(files: Iterable[Path], vocabulary: Path) -> set[int]:
    """Return the ids of all tokens in the texts of some files. Raises LabelledFileError.

    A file is CSV with the columns `text` and `label` if its name says so, else a text a line; gzipped or not.
    """
    tokenizer = load_tokenizer(vocabulary)
    tokens: set[int] = set()
    for file in files:
        texts = _texts(file)
        while batch := list(islice(texts, _BATCH)):
            tokens.update(*(encoding.ids for encoding in tokenizer.encode_batch_fast(batch)))
    return tokens


def _texts(file: Path) -> Iterator[str]:
    return iter(read_labelled(file).texts) if ".csv" in file.suffixes else read_lines(file)
