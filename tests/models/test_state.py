"""Files of training state: what fits is gone on with, and what does not is a clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.early_stopping import BestWeights, Measures  # noqa: E402
from training.state import StateError, load_state, save_state  # noqa: E402
from training.trainer import Trainer, TrainerConfig  # noqa: E402

MODEL = {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}
MISFITS = {
    "empty": b"",
    "text": b"not a state",
    "cut": None,
    "of an older version": {"model": MODEL, "seen": 3},
    "another model": {"model": {"weight": torch.zeros(5, 3), "bias": torch.zeros(5)}},
    "no mapping": [1, 2],
}


@pytest.mark.parametrize("state", MISFITS.values(), ids=MISFITS)
def test_a_state_that_does_not_fit_is_a_clear_error(state: object, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    if isinstance(state, bytes):
        path.write_bytes(state)
    else:
        torch.save(state or {"model": MODEL}, path)
    if state is None:
        path.write_bytes(path.read_bytes()[:200])
    said = r"state\.pt: damaged, or of another version or model .*; delete the \.pt files in .* to start anew"
    with pytest.raises(StateError, match=said):
        Trainer(torch.nn.Linear(3, 2), path, TrainerConfig(1e-3, 100, 10, 1, "cpu"))
    with pytest.raises(StateError, match=said):
        BestWeights(path, 2)


def test_a_saved_state_is_read_again(tmp_path: Path) -> None:
    best = BestWeights(tmp_path / "best.pt", 2)
    best.add(Measures.of(np.eye(2, dtype=np.float32), np.array([0, 1])), MODEL)
    assert BestWeights(tmp_path / "best.pt", 2).passes == best.passes
    save_state(tmp_path / "state.pt", {"seen": 3})
    assert load_state(tmp_path / "state.pt", "cpu", lambda state: state["seen"]) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "state.pt"]
