"""Write a trained model as a checkpoint that packs are made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from tasks.vocabulary.labels import LabelSet
from worker.engines.bert import BertShape


def write_source(
    directory: Path, weights: Mapping[str, Tensor], shape: BertShape, labels: LabelSet, vocabulary: Path
) -> None:
    """Write weights, hyperparameters, vocabulary and ids of labels to a directory, in StructBERT layout."""
    directory.mkdir(exist_ok=True)
    save_file(dict(weights), directory / "model.safetensors")
    config = {
        "model_type": "bert",
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "type_vocab_size": shape.token_types,
        "layer_norm_eps": shape.norm_epsilon,
        "id2label": {str(number): label_id for number, label_id in enumerate(labels.ids)},
    }
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    (directory / "vocab.txt").write_bytes(vocabulary.read_bytes())
