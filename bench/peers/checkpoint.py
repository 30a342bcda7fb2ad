"""The checkpoint of the benchmark's model in the layout of transformers, which most peers load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save_file

from bench.base_model import base_checkpoint


def transformers_checkpoint() -> Path:
    """Return a directory with the weights of `base_checkpoint` as a BertForSequenceClassification."""
    source = base_checkpoint()
    path = source.with_name("base-transformers")
    if not path.is_dir():
        with TemporaryDirectory(dir=source.parent) as workshop:
            _write(source, Path(workshop) / "made").rename(path)
    return path


def _write(source: Path, out: Path) -> Path:
    out.mkdir()
    weights = torch.load(source / "pytorch_model.bin", weights_only=True)
    save_file(weights, out / "model.safetensors", {"format": "pt"})
    shutil.copyfile(source / "vocab.txt", out / "vocab.txt")
    config = json.loads((source / "config.json").read_text("utf-8"))
    config |= {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
    _write_json(out / "config.json", config)
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
    _write_json(out / "tokenizer_config.json", tokenizer)
    return out


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2), "utf-8")
