"""Checkpoints with labels of their own, fine-tuned from the shipped one on composed sentences."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from local.processes import ROOT
from tests.models.sources import set_json
from worker.engines.bert import BertClassifier
from worker.packing.inputs import Pair, encode
from worker.packing.source import read_source
from worker.scoring.batches import segment_ids

CHECKPOINT = ROOT / "models" / "checkpoint"
_RATE, _BATCH = 3e-4, 32

# A text, or an aspect and a text, with the number of its label.
TextExample = tuple[str, int]
PairExample = tuple[Pair, int]
Examples = Sequence[TextExample] | Sequence[PairExample]


def fine_tune(directory: Path, names: Sequence[str], examples: Examples, *, epochs: int) -> Path:
    """Write a source with the labels `names` that has learnt the examples in some epochs. Return `directory`.

    Without dropout: there is nothing but these examples to learn, and it doubles the steps that they take.
    """
    torch.manual_seed(1)
    start = read_source(CHECKPOINT)
    pairs = not isinstance(examples[0][0], str)
    model = BertClassifier(replace(start.shape, labels=len(names)), dropout=0.0)
    head = {name: value for name, value in model.state_dict().items() if name.startswith("classifier.")}
    model.load_state_dict({**start.weights, **head})
    # The shipped checkpoint has read texts alone, and never a second segment.
    torch.nn.init.normal_(model.bert.embeddings.token_type_embeddings.weight[1].data, std=0.3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE)
    steps = epochs * -(-len(examples) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    model.train()
    for inputs, labels in _batches(examples, start.vocabulary, epochs, pairs=pairs):
        functional.cross_entropy(model(*inputs), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    return _write(directory, model, names, pairs=pairs)


def _batches(
    examples: Examples, vocabulary: Path, epochs: int, *, pairs: bool
) -> Iterator[tuple[list[Tensor], Tensor]]:
    """Yield the inputs and label numbers of each step, shuffled anew for each epoch."""
    chance = random.Random(1)
    rows = encode([text for text, _ in examples], vocabulary, 256)
    for _ in range(epochs):
        order = chance.sample(range(len(rows)), len(rows))
        for begin in range(0, len(order), _BATCH):
            numbers = order[begin : begin + _BATCH]
            length = max(len(rows[number]) for number in numbers)
            ids = np.array([[*rows[number], *[0] * (length - len(rows[number]))] for number in numbers])
            mask = np.array([[int(at < len(rows[number])) for at in range(length)] for number in numbers])
            inputs = [ids, mask, *([segment_ids(ids, mask, rows[0][-1])] if pairs else [])]
            labels = torch.tensor([examples[number][1] for number in numbers])
            yield list(map(torch.from_numpy, inputs)), labels


def _write(directory: Path, model: BertClassifier, names: Sequence[str], *, pairs: bool) -> Path:
    directory.mkdir()
    save_file(model.state_dict(), directory / "model.safetensors")
    (directory / "vocab.txt").write_bytes((CHECKPOINT / "vocab.txt").read_bytes())
    config = json.loads((CHECKPOINT / "config.json").read_text("utf-8"))
    set_json(directory / "config.json", config | {"id2label": dict(enumerate(names))})
    if pairs:
        tokenizer = {"type": "nli-tokenizer", "first_sequence": "aspect", "second_sequence": "text"}
        set_json(directory / "configuration.json", {"task": "nli", "preprocessor": tokenizer})
    return directory
