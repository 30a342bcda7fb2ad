"""No verdict comes from another forward than its own, at whatever moment memory is short."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from local.processes import ROOT
from tests.worker.starved import TEXTS
from worker.engines.checked import CheckedEngine
from worker.engines.engine import Tokens
from worker.engines.failure import EngineFailedError
from worker.packs.pack import NGRAMS_FILE, load_pack

EMBEDDED = ROOT / "models" / "embedded"
# Without the n-gram head, whose logits are added to those of the engine.
_PACK = load_pack(EMBEDDED)
ENCODER = replace(_PACK, files={name: each for name, each in _PACK.files.items() if name != NGRAMS_FILE})
PROCESSES, MOMENTS = 4, 25
IDS = np.full((3, 4), 7, np.int64)


def score_starved(engine: str, pack: Path) -> Counter[str]:
    """Score at 100 moments without memory, in processes of their own: its lack may kill one.

    A library that does not check an allocation may end its process by a signal. Such a child gives no
    verdict, and its successor scores the chunk: `killed` counts them.
    """
    seen = Counter[str]()
    for seed in range(PROCESSES):
        command = [sys.executable, "-m", "tests.worker.starved", engine, str(pack), str(seed), str(MOMENTS)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode <= 0, done.stderr
        seen.update(json.loads(done.stdout) if done.returncode == 0 else {"killed": 1})
    assert seen["killed"] < PROCESSES / 2, seen
    return seen


@pytest.mark.timeout(300)
def test_openvino_gives_the_right_verdict_or_none_at_100_moments_without_memory() -> None:
    seen = score_starved("openvino", EMBEDDED)
    assert seen["wrong"] == 0
    assert seen["refused"] > 0, "how many depends on what else the machine does"
    assert seen["right"] > 50
    assert seen["kept right"] == TEXTS * (PROCESSES - seen["killed"]), "nothing wrong is left"


class Partial:
    """An engine that stops writing at some moment: it leaves rows as they are, or raises."""

    batch_tokens = 64

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.unwritten: slice = slice(0)

    def forward(
        self, ids: Tokens, mask: Tokens, _segments: Tokens | None, logits: NDArray[np.float32]
    ) -> None:
        assert ids.shape == mask.shape
        if self.error:
            raise self.error
        kept = logits[self.unwritten].copy()
        logits[:] = 0.25
        logits[self.unwritten] = kept


@pytest.mark.parametrize("unwritten", [slice(0, 3), slice(0, 1), slice(2, 3)])
def test_a_row_that_a_forward_does_not_write_is_refused(unwritten: slice) -> None:
    engine = Partial()
    checked = CheckedEngine(engine, ENCODER)
    assert (checked.logits(IDS, np.ones_like(IDS)) == 0.25).all()
    engine.unwritten = unwritten
    with pytest.raises(EngineFailedError, match="unwritten"):
        checked.logits(IDS, np.ones_like(IDS))


@pytest.mark.parametrize("error", [RuntimeError("no memory\nat all"), MemoryError(), OSError("thread")])
def test_whatever_an_engine_raises_is_its_own_failure(error: Exception) -> None:
    engine = Partial()
    checked = CheckedEngine(engine, ENCODER)
    engine.error = error
    with pytest.raises(EngineFailedError, match=r"a forward failed: (no memory|MemoryError|thread)$"):
        checked.logits(IDS, np.ones_like(IDS))
