"""Fine-tune a checkpoint on labelled texts, with early stopping; an interrupted run goes on where it was."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from training.corpus import Corpus, Targets, one_hot
from training.device import has_bf16
from training.early_stopping import BestWeights, Measures
from training.inference import outputs
from training.pretrain import label_loss
from training.trainer import Trainer, TrainerConfig
from worker.engines.bert import BertClassifier
from worker.packing.source import Source

DROPOUT = 0.1
CERTAINTY = 0.9  # target of the given label: labels are sometimes wrong
PATIENCE = 2
SMALL_WIDTH = 512
SMALL_RATE, RATE = 2e-4, 3e-5  # peak rates up to a width of SMALL_WIDTH, and above it


@dataclass(frozen=True)
class Settings:
    """Most passes over the training texts, peak rate, tokens of a step, seed, device.

    A rate of None is chosen by the width of the model.
    """

    passes: int
    rate: float | None
    batch_tokens: int
    seed: int
    device: str


def soft_targets(numbers: NDArray[np.int64], labels: int) -> Targets:
    """Return targets (n, labels) that give CERTAINTY to the labels with these numbers (n,)."""
    others = (1 - CERTAINTY) / (labels - 1)
    return others + one_hot(numbers, labels) * np.float32(CERTAINTY - others)


def class_weights(numbers: NDArray[np.int64], labels: int) -> NDArray[np.float32]:
    """Return the weight of each text (n,): higher for rare labels, 1 on average.

    A weight is proportional to one over the square root of the label's frequency: full compensation would
    make the model predict rare labels far too often.
    """
    weights = np.bincount(numbers, minlength=labels)[numbers] ** -0.5
    return (weights / weights.mean()).astype(np.float32)


def initial_model(start: Source, labels: int, *, keep_head: bool, seed: int) -> BertClassifier:
    """Return the start's model, with a new head for `labels` labels unless `keep_head`."""
    torch.manual_seed(seed)
    model = BertClassifier(replace(start.shape, labels=labels), DROPOUT)
    nn.init.normal_(model.classifier.weight, std=0.02)
    nn.init.zeros_(model.classifier.bias)
    kept = {name: value for name, value in start.weights.items() if keep_head or "classifier." not in name}
    model.load_state_dict(kept, strict=False)
    return model


def fine_tune(
    model: BertClassifier, training: Corpus, checking: Corpus, settings: Settings, folder: Path
) -> list[Measures]:
    """Train the model, and load the weights of the pass that was best on the checking texts into it.

    Return the measures of each pass. The state is kept in `folder`: called again with the same arguments, a
    run that was interrupted goes on. The weights are averaged over about half of a pass.
    """
    best = BestWeights(folder / "best.pt", PATIENCE)
    trainer = Trainer(model.to(settings.device), folder / "state.pt", _config(model, training, settings))
    true, bf16 = checking.targets.argmax(axis=1), has_bf16(settings.device)

    def loss_of(ids: Tensor, mask: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        with torch.autocast(settings.device, torch.bfloat16, enabled=bf16):
            return label_loss(model(ids, mask), targets, weights)

    def report() -> bool:
        if trainer.epochs > len(best.passes):
            averaged = trainer.average.module.eval()
            best.add(Measures.of(outputs(averaged, checking, settings.device), true), averaged.state_dict())
            tqdm.write(_line(best.passes, settings.passes))
            sys.stdout.flush()
        return best.exhausted

    model.train()
    if not best.exhausted:
        trainer.run(training, loss_of, report)
    model.load_state_dict(best.weights)
    model.cpu().eval()
    return best.passes


def _config(model: BertClassifier, training: Corpus, settings: Settings) -> TrainerConfig:
    width, tokens = model.classifier.in_features, len(training.ids)
    steps = max(2, tokens / settings.batch_tokens)
    return TrainerConfig(
        (SMALL_RATE if width <= SMALL_WIDTH else RATE) if settings.rate is None else settings.rate,
        tokens * settings.passes,
        settings.batch_tokens,
        settings.seed,
        settings.device,
        average_decay=1 - min(0.5, 2 / steps),
    )


def _line(passes: list[Measures], most: int) -> str:
    last = passes[-1]
    measures = f"accuracy {last.accuracy:.3f}, macro F1 {last.macro_f1:.3f}, loss {-last.negative_loss:.3f}"
    return f"pass {len(passes)} of at most {most}: {measures}"
