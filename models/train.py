"""Train a small BERT for Chinese sentiment from nothing: masked-language pre-training, then fine-tuning.

    python -m models.train --train train.csv.gz --dev dev.csv.gz --unlabelled lines.txt.gz --out DIR

The two stages keep `DIR/mlm.pt` and `DIR/finetune.pt` and go on from them when run again; `--stage` runs one
alone. `DIR/source` ends as a StructBERT-layout directory, ready for `python -m worker.packs make`. Budgets
are in tokens, so a longer run is a larger number; `--mlm-tokens 0` leaves pre-training out.
"""
# ruff: noqa: INP001, T201  a script that talks to a person

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from models.corpus import UNLABELLED, Corpus, batches, build_vocabulary, encode
from models.initial import initialise
from models.stage import Plan, Stage
from worker.engines.bert import BertClassifier, BertShape
from worker.evaluate import read_labelled
from worker.tokenizer import MASK, SPECIAL_TOKENS, load_tokenizer

AS_MASK, AS_RANDOM = 0.8, 0.1  # what becomes of hidden tokens; the rest stay as they are


class Pretraining(nn.Module):
    """The classifier with a masked-language head whose output weights are the token embeddings."""

    def __init__(self, shape: BertShape, dropout: float) -> None:
        super().__init__()
        self.classifier = BertClassifier(shape, dropout)
        self.transform = nn.Sequential(
            nn.Linear(shape.width, shape.width), nn.GELU(), nn.LayerNorm(shape.width, eps=shape.norm_epsilon)
        )
        self.bias = nn.Parameter(torch.zeros(shape.vocabulary))

    def forward(self, ids: Tensor, mask: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        """Masked-language loss where `targets` >= 0 plus sentiment loss where `labels` >= 0."""
        hidden = self.classifier.bert(ids, mask)
        masked = self.transform(hidden[targets >= 0])
        scores = functional.linear(masked, self.classifier.bert.embeddings.word_embeddings.weight, self.bias)
        loss = functional.cross_entropy(scores, targets[targets >= 0])
        if (labels >= 0).any():
            logits = self.classifier.classify(hidden)
            loss = loss + functional.cross_entropy(logits, labels, ignore_index=UNLABELLED)
        return loss


def hide(ids: Tensor, rate: float, mask_id: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Hide a share of the tokens, most behind [MASK]; targets are -1 elsewhere."""
    chosen = (torch.rand(ids.shape) < rate) & (ids >= len(SPECIAL_TOKENS))
    fate = torch.rand(ids.shape)
    hidden = torch.where(chosen & (fate < AS_MASK), mask_id, ids)
    random_ids = torch.randint(len(SPECIAL_TOKENS), vocabulary, ids.shape)
    hidden = torch.where(chosen & (fate > 1 - AS_RANDOM), random_ids, hidden)
    return hidden, torch.where(chosen, ids, -1)


def accuracy(model: BertClassifier, dev: Corpus) -> float:
    """Share of the dev texts that the model labels as they are labelled."""
    model.eval()
    right = 0
    with torch.inference_mode():
        for rows in batches(dev.lengths(), 4096, np.random.default_rng(0)):
            ids, mask, labels = dev.padded(rows)
            right += int((model(ids, mask).argmax(1) == labels).sum())
    model.train()
    return right / len(dev.labels)


def pretrain(options: argparse.Namespace, shape: BertShape, everything: Corpus, dev: Corpus) -> None:
    """Stage one: the hidden tokens of all texts and the sentiment of the labelled ones, learned together."""
    model = Pretraining(shape, dropout=0.0)
    checkpoint = options.out / "mlm.pt"
    if not checkpoint.exists():
        initialise(model.classifier, shape, everything)
    mask_id = SPECIAL_TOKENS.index(MASK)

    def loss_of(ids: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        hidden, targets = hide(ids, options.mask_rate, mask_id, shape.vocabulary)
        loss: Tensor = model(hidden, mask, targets, labels)
        return loss

    model.classifier.bert.compile(dynamic=True)
    plan = Plan(options.mlm_rate, options.mlm_tokens, options.batch_tokens, options.seed)
    Stage(model, checkpoint, plan).run(
        everything, loss_of, lambda: print("dev accuracy", accuracy(model.classifier, dev), flush=True)
    )


def finetune(options: argparse.Namespace, shape: BertShape, labelled: Corpus, dev: Corpus) -> BertClassifier:
    """Stage two: sentiment alone, from the weights of stage one."""
    pretrained = Pretraining(shape, dropout=options.dropout)
    pretrained.load_state_dict(torch.load(options.out / "mlm.pt", weights_only=True)["model"])
    model = pretrained.classifier
    model.bert.compile(dynamic=True)

    def loss_of(ids: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(model(ids, mask), labels)

    checkpoint = options.out / "finetune.pt"
    plan = Plan(options.finetune_rate, options.finetune_tokens, options.batch_tokens, options.seed)
    Stage(model, checkpoint, plan).run(
        labelled, loss_of, lambda: print("dev accuracy", accuracy(model, dev), flush=True)
    )
    return model


def save_source(model: BertClassifier, shape: BertShape, options: argparse.Namespace) -> None:
    """Write the StructBERT-layout directory that the pack maker takes."""
    source = options.out / "source"
    source.mkdir(exist_ok=True)
    save_file(model.state_dict(), source / "model.safetensors")
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


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("train", "dev", "unlabelled", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--stage", choices=["all", "mlm", "finetune"], default="all")
    numbers = {
        "vocabulary": 5000, "layers": 4, "width": 256, "heads": 4, "max-tokens": 256, "mlm-length": 128,
        "batch-tokens": 1024, "mlm-tokens": 14_000_000, "finetune-tokens": 8_000_000, "seed": 1, "threads": 1,
        "mlm-rate": 3e-4, "finetune-rate": 3e-4, "mask-rate": 0.15, "dropout": 0.1,
    }  # fmt: skip
    for name, number in numbers.items():
        parser.add_argument(f"--{name}", type=type(number), default=number)
    return parser.parse_args()


def main() -> None:
    """Run the stages asked for."""
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    texts, labels = read_labelled(options.train)
    with gzip.open(options.unlabelled, "rt", encoding="utf-8") as lines:
        unlabelled = lines.read().splitlines()
    vocabulary = options.out / "vocab.txt"
    if not vocabulary.exists():
        pieces = build_vocabulary(texts + unlabelled, options.vocabulary)
        vocabulary.write_text("\n".join(pieces) + "\n", "utf-8")
    everything = encode(
        texts + unlabelled, labels + [UNLABELLED] * len(unlabelled), vocabulary, options.mlm_length
    )
    labelled = encode(texts, labels, vocabulary, options.max_tokens)
    dev = encode(*read_labelled(options.dev), vocabulary, options.max_tokens)
    size = load_tokenizer(vocabulary).get_vocab_size()
    print(f"{size} pieces, {len(labelled.ids)} labelled and {len(everything.ids)} tokens in all", flush=True)
    shape = BertShape(
        size, options.max_tokens, options.width, options.layers, options.heads, 4 * options.width
    )
    if options.stage != "finetune":
        pretrain(options, shape, everything, dev)
    if options.stage != "mlm":
        save_source(finetune(options, shape, labelled, dev), shape, options)


if __name__ == "__main__":
    main()
