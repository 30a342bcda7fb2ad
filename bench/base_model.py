"""A model of StructBERT-base's shape with random weights, which is as large and as fast as a trained one.

It stays in `.run/bench`: delete that folder after a change to how packs are made.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from local.processes import ROOT
from parity.checkpoints import BASE, Layout, random_checkpoint
from samples.shipped import read_calibration
from worker.packing.make import Recipe, make_pack
from worker.packs.pack import Pack, PackError, load_pack

SEED = 20260101
_DIRECTORY = ROOT / ".run" / "bench"
_CALIBRATION_TEXTS = 64  # enough for the ranges of random weights


def base_checkpoint() -> Path:
    """Return the checkpoint directory that ModelScope's pipeline and `worker.packing make` read."""
    path = _DIRECTORY / "base"
    if not path.is_dir():
        _DIRECTORY.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=_DIRECTORY) as workshop:
            random_checkpoint(Path(workshop) / "base", BASE, Layout(), SEED).rename(path)
    return path


def int8_pack() -> Pack:
    """Return the int8 pack of that checkpoint, with its exact reference weights; make it on first use."""
    path = _DIRECTORY / "base-int8"
    try:
        return load_pack(path)
    except PackError:
        texts = read_calibration()[:_CALIBRATION_TEXTS]
        # Only speed and memory matter here: random weights need not agree with themselves in int8.
        recipe = Recipe(base_checkpoint(), path, "structbert-base-random", str(SEED), texts, min_agreement=0)
        return make_pack(recipe)
