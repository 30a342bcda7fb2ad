"""Two children share the large matrices of a pack; `make bench-sharing` measures it at base size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("nncf")

from tests.conftest import eventually, started_stack
from tests.models.sources import SHAPE, TEXTS, weights, write_source
from tests.worker.test_shared_weights import hold_once
from worker.packing.make import Recipe, make_pack

WIDE = replace(SHAPE, width=768, heads=12, intermediate=3072)


@pytest.mark.timeout(300)
def test_two_children_hold_the_matrices_of_a_wide_pack_once(tmp_path: Path) -> None:
    config = {"num_attention_heads": WIDE.heads, "intermediate_size": WIDE.intermediate}
    source = write_source(tmp_path / "source", weights(shape=WIDE), **config)
    pack = make_pack(Recipe(source, tmp_path / "pack", "wide", "1", TEXTS, min_agreement=0))
    assert pack.precision == "int8"
    matrices = WIDE.layers * WIDE.width * (4 * WIDE.width + 2 * WIDE.intermediate)  # a byte a weight
    variables = {
        "SENTIMENT_SHARED_WEIGHTS": "true",
        "SENTIMENT_CONCURRENCY": "2",
        "SENTIMENT_PACK": str(pack.directory),
    }
    with started_stack(tmp_path, **variables) as stack:
        # Not all: a block that malloc places in memory freed earlier is not shared.
        eventually(lambda: hold_once(stack, matrices * 7 // 10))
