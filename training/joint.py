"""Train the model of both embedded packs, on training texts and written texts together.

    python -m training.joint --train train.csv.gz --dev dev.csv.gz --initial models/checkpoint --out DIR

One encoder learns two classifiers: negative or positive, and negative, neutral or positive. The written
texts are read in every pass, beside rows of the training file that are new in each. Nothing is learned from
some writers and domains, nor from texts near those that measure.

The checkpoints are `DIR/two` and `DIR/three`. `DIR/two-fitted.csv` holds the texts that set the scale of the
n-gram head, to calibrate the pack on too, and `DIR/two-judged.csv` those to judge it by. An interrupted run
goes on where it was; with other inputs it starts anew. To share each batch between two processes:

    OMP_NUM_THREADS=1 python -m torch.distributed.run --nproc-per-node 2 -m training.joint ...
"""
# ruff: noqa: T201  prints what is wrong with a file

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from tasks.console import replace_unencodable
from tasks.errors import SentiqError
from tasks.log_format import start_logging
from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from training.corpus import Corpus
from training.joint_checkpoint import write_checkpoint
from training.joint_model import corpus_of, initial_model, joint_loss
from training.joint_texts import THREE, TWO, read_texts
from training.trainer import Trainer, TrainerConfig
from training.work_folder import folder_of, locked, require_outside, work_folder
from training.written import FILE, TESTS
from worker.engines.bert import BertClassifier
from worker.packing.labels import read_labels
from worker.packing.origin import find_origin
from worker.packing.source import Source, read_source
from worker.packs.pack import PackError, file_sha256

_FILES = ("train", "dev", "written")
_NUMBERS = {
    "passes": 6, "rows": 9000, "length": 160, "rate": 2e-4, "batch-tokens": 2048, "dropout": 0.1, "seed": 1,
}  # fmt: skip

logger = logging.getLogger(__name__)


def read_start(directory: Path) -> Source:
    """Return the checkpoint to begin with. Raises PackError unless it is of NEGATIVE_POSITIVE."""
    source = read_source(directory)
    if read_labels(directory, source.shape.labels) != NEGATIVE_POSITIVE:
        raise PackError(f"{directory}: expected a checkpoint of the labels negative and positive")
    return source


def train(start: Source, corpus: Corpus, options: argparse.Namespace, state: Path) -> BertClassifier:
    """Return the model with the averaged weights of one run over the corpus, kept in the file `state`."""
    torch.manual_seed(options.seed)
    model = initial_model(start, options.dropout)
    config = TrainerConfig(options.rate, len(corpus.ids), options.batch_tokens, options.seed, "cpu")
    trainer = Trainer(model, state, config)

    def loss_of(ids: Tensor, mask: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        return joint_loss(model(ids, mask), targets, weights)

    trainer.run(corpus, loss_of, lambda: None)
    model.load_state_dict(trainer.average.module.state_dict())
    return model.eval()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.joint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("train", "dev", "initial", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--written", type=Path, default=FILE, help="default: the texts that ship with it")
    parser.add_argument(
        "--apart",
        type=Path,
        nargs="*",
        default=TESTS,
        metavar="FILE",
        help="texts that nothing near is learned from",
    )
    for name, number in _NUMBERS.items():
        parser.add_argument(f"--{name}", type=type(number), default=number)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Train the model and write both checkpoints. Raises SentiqError for a file that cannot be used."""
    start = read_start(options.initial)
    texts = read_texts(options.train, options.dev, options.written, options.apart)
    corpus = corpus_of(texts, options, start.vocabulary)
    folder = _folder(options)
    logger.info("%d texts, %d tokens in %d passes", len(corpus.targets), len(corpus.ids), options.passes)
    model = train(start, corpus, options, folder / "joint.pt")
    if not _is_first():
        return
    for classifier in (TWO, THREE):
        logger.info("writing the checkpoint %s", classifier.name)
        write_checkpoint(classifier, model, start, texts, options.out)


def _is_first() -> bool:
    """Return whether this is the only process, or the first of those that share each batch."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def _folder(options: argparse.Namespace) -> Path:
    """Return the folder of the state, once the first process has made it ready."""
    made = work_folder(options.out, _inputs(options)) if _is_first() else folder_of(options.out)
    if distributed.is_initialized():
        distributed.barrier()
    return made


def _inputs(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the result depends on."""
    files = {name: file_sha256(getattr(options, name)) for name in _FILES}
    numbers = {name: getattr(options, name.replace("-", "_")) for name in _NUMBERS}
    apart = [file_sha256(path) for path in options.apart]
    return {**files, "apart": apart, "initial": find_origin(str(options.initial), None).revision, **numbers}


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 1 when a file cannot be used, 130 when it was interrupted."""
    replace_unencodable()
    start_logging("info", "%(asctime)s %(message)s")
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    if distributed.is_torchelastic_launched():
        distributed.init_process_group("gloo")
    try:
        require_outside(
            folder_of(options.out), [options.initial, *(getattr(options, name) for name in _FILES)]
        )
        options.out.mkdir(parents=True, exist_ok=True)
        with locked(options.out) if _is_first() else contextlib.nullcontext():
            run(options)
    except KeyboardInterrupt:
        return 130
    except (SentiqError, OSError) as error:
        print(f"training.joint: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
