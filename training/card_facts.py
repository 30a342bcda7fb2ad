"""What a card says beside its pack: facts that were written down, and what the files of training tell."""

from __future__ import annotations

import tomllib
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.errors import SentiqError
from training.joint_texts import read_texts
from training.work_folder import inputs_of
from training.written import TESTS
from worker.evaluate.labelled import read_labelled, read_lines
from worker.packs.pack import file_sha256
from worker.scoring.tokenizer import load_tokenizer

FACTS = Path(__file__).with_name("cards") / "facts.toml"
_BATCH = 10_000


class CardError(SentiqError):
    """A card cannot be written. The message names the file and the cause."""

    code = "bad_card"


def read_facts(name: str, measured: Iterable[str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the facts of the pack in a folder `name`, and what each measured file is. Raises CardError."""
    try:
        facts = tomllib.loads(FACTS.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise CardError(f"{FACTS}: {error}") from error
    for table, key in [("packs", name), *(("measured", each) for each in measured)]:
        if key not in facts[table]:
            raise CardError(f"{FACTS}: table {table}: no {key!r} among {', '.join(facts[table])}")
    named = {key: text.strip() for key, text in facts["packs"][name].items()}
    return {**named, "arguments": facts["arguments"]}, facts["measured"]


def read_training(options: Namespace, vocabulary: Path) -> Mapping[str, str]:
    """Return the numbers of texts and tokens, and the options of joint training. Raises SentiqError."""
    inputs = _inputs(options)
    learnt = read_texts(options.train, options.dev, options.written, TESTS)
    train, written = read_labelled(options.train), read_labelled(options.written)
    given = {
        "train": train.texts, "unlabelled": list(read_lines(options.unlabelled)), "written": written.texts,
    }  # fmt: skip
    counts = {f"{name}_texts": len(texts) for name, texts in given.items()}
    counts |= {f"{name}_tokens": _tokens(texts, vocabulary) for name, texts in given.items()}
    counts |= {"taught": len(learnt.written), "held_out": len(learnt.held_out)}
    counts |= {"near": len(train.texts) - len(learnt.rows)}
    counts |= {"passes": inputs["passes"], "new_rows": inputs["rows"], "length": inputs["length"]}
    sources = ", ".join(f"{name} {count:,}" for name, count in Counter(train.domains).most_common())
    numbers = {name: value for name, value in inputs.items() if isinstance(value, int | float)}
    joint = " ".join(f"--{name} {value}" for name, value in numbers.items())
    return {**{name: f"{count:,}" for name, count in counts.items()}, "sources": sources, "joint": joint}


def _inputs(options: Namespace) -> Mapping[str, Any]:
    """Return the inputs of joint training. Raises CardError if it had other files."""
    inputs = inputs_of(options.joint)
    for name in ("train", "dev", "written"):
        path = getattr(options, name)
        if inputs.get(name) != file_sha256(path):
            raise CardError(f"{path}: not the file --{name} that {options.joint} was trained with")
    return inputs


def _tokens(texts: Sequence[str], vocabulary: Path) -> int:
    tokenizer = load_tokenizer(vocabulary)
    parts = (texts[begin : begin + _BATCH] for begin in range(0, len(texts), _BATCH))
    return sum(len(each.ids) for part in parts for each in tokenizer.encode_batch_fast(part))
