"""The training loop: optimiser, learning-rate schedule, averaged weights, checkpoint."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from training.corpus import Corpus, batches
from training.state import load_state, save_state

CHECKPOINT_INTERVAL_S = 120
STEPS_PER_REPORT = 100
WARM_UP = 0.06  # share of the token budget
AVERAGE_DECAY = 0.998


@dataclass(frozen=True)
class TrainerConfig:
    """Peak learning rate, tokens in total, tokens of a step, seed of the order of texts, device.

    `average_decay` is the share of the averaged weights that a step keeps.
    """

    rate: float
    tokens: int
    batch_tokens: int
    seed: int
    device: str
    average_decay: float = AVERAGE_DECAY


class Trainer:
    """Trains a model over a token budget and goes on from its checkpoint as if it had not been interrupted.

    Under `torch.distributed` each process computes its share of each batch. `average` is the exponential
    moving average of the weights over some hundreds of steps.
    """

    def __init__(self, model: nn.Module, checkpoint: Path, config: TrainerConfig) -> None:
        self._model, self._checkpoint, self._config = model, checkpoint, config
        decayed = [p for p in model.parameters() if p.dim() > 1]
        rest = [p for p in model.parameters() if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, lr=config.rate, betas=(0.9, 0.98), fused=True)
        moving = get_ema_multi_avg_fn(config.average_decay)
        self.average = AveragedModel(model, multi_avg_fn=moving)
        self._rank, self._ranks = 0, 1
        if distributed.is_initialized():
            self._rank, self._ranks = distributed.get_rank(), distributed.get_world_size()
        self._seen, self._epoch, self._batch = 0, 0, 0
        if checkpoint.exists():
            load_state(checkpoint, config.device, self._restore)

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._seen, self._epoch, self._batch = state["seen"], state["epoch"], state["batch"]

    @property
    def epochs(self) -> int:
        """Return how many epochs are complete."""
        return self._epoch

    def run(self, corpus: Corpus, loss_of: Callable[..., Tensor], report: Callable[[], bool | None]) -> None:
        """Train until the budget is spent or `report`, called after each epoch, returns True.

        Shows progress on a terminal.
        """
        stopped = False
        with self._bar() as bar:
            while self._seen < self._config.tokens and not stopped:
                self._run_epoch(corpus, loss_of, bar)
                self._epoch, self._batch = self._epoch + 1, 0
                stopped = bool(report())
                self._save()
        if not self._checkpoint.exists():
            self._save()

    def _bar(self) -> tqdm[None]:
        hidden = True if self._rank else None
        total = self._config.tokens
        return tqdm(
            total=total, initial=self._seen, unit=" tokens", unit_scale=True, leave=False, disable=hidden
        )

    def _run_epoch(self, corpus: Corpus, loss_of: Callable[..., Tensor], bar: tqdm[None]) -> None:
        saved, losses = time.monotonic(), []
        order = batches(corpus.lengths(), self._config.batch_tokens, self._generator())
        for rows in islice(order, self._batch, None):
            self._batch += 1
            if len(rows) < self._ranks:
                continue
            self._seed_step()
            inputs = (part.to(self._config.device) for part in corpus.padded(rows[self._rank :: self._ranks]))
            losses.append(self._step(loss_of(*inputs)))
            tokens = int(corpus.lengths()[rows].sum())
            self._seen += tokens
            bar.update(tokens)
            if len(losses) == STEPS_PER_REPORT:
                self._print(losses)
                losses.clear()
            if self._seen >= self._config.tokens:
                return
            if time.monotonic() - saved > CHECKPOINT_INTERVAL_S:
                self._save()
                saved = time.monotonic()

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng([self._config.seed, self._epoch])

    def _seed_step(self) -> None:
        """Seed what is random in a step by its number, so that a resumed run draws the same."""
        step = [self._config.seed, self._epoch, self._batch, self._rank]
        torch.manual_seed(int(np.random.SeedSequence(step).generate_state(1, np.uint64)[0]))

    def _print(self, losses: list[float]) -> None:
        if self._rank == 0:
            seen = f"{self._seen:,} of {self._config.tokens:,} tokens"
            tqdm.write(f"{time.strftime('%T')} {seen}, loss {np.mean(losses):.4f}")
            sys.stdout.flush()

    def _step(self, loss: Tensor) -> float:
        progress = self._seen / self._config.tokens
        for group in self._optimizer.param_groups:
            group["lr"] = self._config.rate * min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP))
        loss.backward()
        self._share_gradients()
        nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.average.update_parameters(self._model)
        return loss.item()

    def _share_gradients(self) -> None:
        """Replace the gradients by their mean over all processes."""
        if self._ranks == 1:
            return
        gradients = [p.grad for p in self._model.parameters() if p.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(together)
        together /= self._ranks
        means = torch.split(together, [gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def _save(self) -> None:
        if self._rank > 0:
            return
        state = {
            "model": self._model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "seen": self._seen,
            "epoch": self._epoch,
            "batch": self._batch,
        }
        save_state(self._checkpoint, state)
