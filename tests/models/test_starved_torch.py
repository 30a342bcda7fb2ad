"""The torch engine gives the right verdict or none at whatever moment memory is short."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("nncf")

from tests.models.sources import TEXTS, write_source
from tests.worker.starved import TEXTS as STARVED_TEXTS
from tests.worker.test_starved_engine import PROCESSES, score_starved
from worker.packing.make import Recipe, make_pack


@pytest.mark.timeout(400)
def test_torch_gives_the_right_verdict_or_none_at_100_moments_without_memory(tmp_path: Path) -> None:
    recipe = Recipe(
        write_source(tmp_path / "source"), tmp_path / "pack", "tiny", "1", TEXTS, min_agreement=1.01
    )
    seen = score_starved("torch", make_pack(recipe).directory)
    assert seen["wrong"] == 0
    assert seen["right"] > 50
    assert seen["kept right"] + seen["refused afterwards"] == STARVED_TEXTS * (PROCESSES - seen["killed"])
