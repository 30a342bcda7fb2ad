"""What a model is tuned from: a checkpoint with its labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.vocabulary.labels import LabelSet
from worker.packing.fetch import fetch
from worker.packing.labels import read_input, read_labels
from worker.packing.origin import find_origin
from worker.packing.source import Source, read_source
from worker.packs.ngrams import NgramHead, read_head
from worker.packs.pack import NGRAMS_FILE, PACK_FILE, PackError


@dataclass(frozen=True)
class Start:
    """A checkpoint. `revision` changes with its files; `labels` is None if it does not name them.

    `ngrams` is its n-gram head, whose logits are added to those of the encoder; None if it has none.
    """

    id: str
    revision: str
    source: Source
    labels: LabelSet | None
    ngrams: NgramHead | None


def read_start(name: str) -> Start:
    """Return the checkpoint in a directory, or with a ModelScope id. Raises PackError."""
    if (Path(name) / PACK_FILE).is_file():
        raise PackError(f"{name}: a pack, which cannot be trained; name the checkpoint that it was made from")
    origin = find_origin(name, None)
    directory = fetch(origin)
    if read_input(directory) == "pair":
        raise PackError(f"{name}: reads pairs of an aspect and a text; only models of texts can be tuned")
    source = read_source(directory)
    try:
        labels = read_labels(directory, source.shape.labels)
    except PackError:
        labels = None  # a new head needs no names of the old one
    path, shape = directory / NGRAMS_FILE, source.shape
    ngrams = read_head(path, shape.vocabulary, shape.labels) if path.is_file() else None
    return Start(origin.id, find_origin(str(directory), None).revision, source, labels, ngrams)
