"""Measure a pack on labelled texts with the classifier that serves them.

python -m worker.evaluate --pack DIR FILE.csv[.gz]
"""

import argparse
import csv
import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worker.classifier import Classifier
from worker.engines import build_engine
from worker.packs import load_pack

CALIBRATION_BINS = 10


def read_labelled(path: Path) -> tuple[list[str], list[int]]:
    """Texts and labels (1 = positive) of a CSV, gzipped or not, with the columns `text` and `label`."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return [row["text"] for row in rows], [int(row["label"]) for row in rows]


def score(positive: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy, macro F1 and expected calibration error of probabilities of `positive`."""
    predicted = (positive >= 0.5).astype(np.int64)  # noqa: PLR2004  the midpoint
    return {
        "texts": len(labels),
        "positive": int(labels.sum()),
        "accuracy": round(float((predicted == labels).mean()), 4),
        "macro_f1": round((_f1(predicted, labels, 0) + _f1(predicted, labels, 1)) / 2, 4),
        "ece": round(_calibration_error(np.maximum(positive, 1 - positive), predicted == labels), 4),
    }


def _f1(predicted: NDArray[np.int64], labels: NDArray[np.int64], label: int) -> float:
    hits = int(((predicted == label) & (labels == label)).sum())
    return 2 * hits / max(1, int((predicted == label).sum() + (labels == label).sum()))


def _calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by their texts."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [abs(float((confidence[bins == b] - right[bins == b]).sum())) for b in range(CALIBRATION_BINS)]
    return sum(gaps) / len(right)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the measures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE.csv[.gz]")
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--engine", choices=["openvino", "torch"], default="openvino")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    pack = load_pack(options.pack)
    engine = build_engine(pack, options.engine, device=options.device, threads=options.threads)
    texts, labels = read_labelled(options.file)
    verdicts = Classifier(pack, engine, batch_tokens=1024).classify(texts)
    measures = score(np.array([verdict.positive_prob for verdict in verdicts]), np.array(labels, np.int64))
    print(json.dumps({"pack": pack.id, "revision": pack.revision, "engine": options.engine} | measures))  # noqa: T201


if __name__ == "__main__":
    main()
