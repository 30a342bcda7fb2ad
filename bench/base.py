"""A model of StructBERT-base's shape with random weights: they compute as fast as trained ones, and as large.

Kept in `.run/bench`; delete that after a change to how packs are made.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from local.processes import ROOT
from parity.checkpoints import BASE, Layout, random_checkpoint
from samples.shipped import read_calibration
from worker.packing.make import Recipe, make_pack
from worker.packs.pack import Pack, PackError, load_pack

SEED = 20260101
_KEPT = ROOT / ".run" / "bench"
_CALIBRATION_TEXTS = 64  # enough for the ranges of weights that mean nothing


def base_checkpoint() -> Path:
    """The directory that ModelScope's pipeline and `packs make` read; written once."""
    path = _KEPT / "base"
    if not path.is_dir():
        _KEPT.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=_KEPT) as workshop:
            random_checkpoint(Path(workshop) / "base", BASE, Layout(), SEED).rename(path)
    return path


def int8_pack() -> Pack:
    """The pack that `packs make` makes of it, with its exact reference weights; made once."""
    path = _KEPT / "base-int8"
    try:
        return load_pack(path)
    except PackError:
        texts = read_calibration()[:_CALIBRATION_TEXTS]
        # Speed and memory are asked for here, not whether int8 agrees with weights that mean nothing.
        recipe = Recipe(base_checkpoint(), path, "structbert-base-random", str(SEED), texts, min_agreement=0)
        return make_pack(recipe)
