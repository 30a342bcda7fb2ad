"""One stage of training: optimiser, learning-rate schedule, averaged weights, checkpoint."""
# ruff: noqa: T201  a folder of scripts that talk to a person

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.corpus import Corpus, batches

SECONDS_BETWEEN_CHECKPOINTS = 120
STEPS_BETWEEN_REPORTS = 100
WARM_UP = 0.06  # share of the budget
AVERAGE_DECAY = 0.998


@dataclass(frozen=True)
class Plan:
    """How one stage learns: peak learning rate, tokens in all and a step, seed of its order, and where."""

    rate: float
    tokens: int
    batch_tokens: int
    seed: int
    device: str


class Stage:
    """One optimisation run over a token budget, with a checkpoint to go on from.

    Under `torch.distributed` every process takes its share of each batch. `average` holds the exponential
    moving average of the weights over some hundreds of steps.
    """

    def __init__(self, model: nn.Module, checkpoint: Path, plan: Plan) -> None:
        self._model, self._checkpoint, self._plan = model, checkpoint, plan
        decayed = [p for p in model.parameters() if p.dim() > 1]
        rest = [p for p in model.parameters() if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98), fused=True)
        moving = get_ema_multi_avg_fn(AVERAGE_DECAY)  # type: ignore[no-untyped-call]  # as torch leaves it
        self.average = AveragedModel(model, multi_avg_fn=moving)
        self._rank, self._ranks = 0, 1
        if distributed.is_initialized():
            self._rank, self._ranks = distributed.get_rank(), distributed.get_world_size()
        self._seen, self._epoch = 0, 0
        if checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True, map_location=plan.device)
            model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._seen, self._epoch = state["seen"], state["epoch"] + 1

    def run(self, corpus: Corpus, loss_of: Callable[..., Tensor], report: Callable[[], None]) -> None:
        """Train until the budget is spent; what an interrupted epoch had left is not caught up on."""
        while self._seen < self._plan.tokens:
            self._run_epoch(corpus, loss_of)
            self._epoch += 1
            report()
        self._save()

    def _run_epoch(self, corpus: Corpus, loss_of: Callable[..., Tensor]) -> None:
        saved, losses = time.monotonic(), []
        torch.manual_seed(self._plan.seed + self._epoch * self._ranks + self._rank)
        generator = np.random.default_rng([self._plan.seed, self._epoch])
        for rows in batches(corpus.lengths(), self._plan.batch_tokens, generator):
            if len(rows) < self._ranks:
                continue
            inputs = (part.to(self._plan.device) for part in corpus.padded(rows[self._rank :: self._ranks]))
            losses.append(self._step(loss_of(*inputs)))
            self._seen += int(corpus.lengths()[rows].sum())
            if len(losses) == STEPS_BETWEEN_REPORTS:
                self._print(losses)
                losses.clear()
            if time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS:
                self._save()
                saved = time.monotonic()
            if self._seen >= self._plan.tokens:
                return

    def _print(self, losses: list[float]) -> None:
        if self._rank == 0:
            seen = f"{self._seen / 1e6:.2f} of {self._plan.tokens / 1e6:.0f} M tokens"
            print(f"{time.strftime('%T')} {seen}, loss {np.mean(losses):.4f}", flush=True)

    def _step(self, loss: Tensor) -> float:
        progress = self._seen / self._plan.tokens
        for group in self._optimizer.param_groups:
            group["lr"] = self._plan.rate * min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP))
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._share_gradients()
        nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.average.update_parameters(self._model)
        return loss.item()

    def _share_gradients(self) -> None:
        """Every process goes on with the mean of all gradients."""
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
        }
        partial = self._checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self._checkpoint)
