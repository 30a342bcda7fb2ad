"""Two children of a pack with large matrices hold them once; `make bench-sharing` shows it at base size."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("nncf")

from tests.conftest import eventually, started_stack
from tests.models.sources import SHAPE, TEXTS, weights, write_source
from tests.worker.test_sharing import hold_once
from worker.packing.make import Recipe, make_pack

WIDE = replace(SHAPE, width=768, heads=12, intermediate=3072)


@pytest.mark.timeout(300)
def test_two_children_hold_the_matrices_of_a_wide_pack_once(tmp_path: Path) -> None:
    config = {"num_attention_heads": WIDE.heads, "intermediate_size": WIDE.intermediate}
    source = write_source(tmp_path / "source", weights(shape=WIDE), **config)
    pack = make_pack(Recipe(source, tmp_path / "pack", "wide", "1", TEXTS, min_agreement=0))
    assert pack.precision == "int8"
    matrices = WIDE.layers * WIDE.width * (4 * WIDE.width + 2 * WIDE.intermediate)  # a byte a weight
    with started_stack(tmp_path, SENTIMENT_PACK=str(pack.directory), SENTIMENT_CONCURRENCY="2") as stack:
        # Not all: one may lie where memory was freed before, and what lies there is left alone.
        eventually(lambda: hold_once(stack, matrices * 7 // 10))
