"""ModelScope's own pipeline behind standard input and output, in an environment that is not ours.

A line of JSON asks, a line of JSON answers: `{"scores": [texts]}` for the probability of 正面 of each text,
`{"ids": [texts]}` for its token ids, cut nowhere. The first line, unasked, tells the versions.
"""

import argparse
import json
import os
import platform
import sys
import unicodedata
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import torch
from modelscope.pipelines import pipeline
from modelscope.utils.constant import Tasks
from transformers import BertTokenizer

PACKAGES = ("modelscope", "transformers", "tokenizers", "torch", "numpy")


class Stock:
    """The pipeline as ModelScope's documentation builds it, on the CPU."""

    def __init__(self, checkpoint: Path, max_tokens: int) -> None:
        self._pipeline = pipeline(
            Tasks.text_classification, model=str(checkpoint), sequence_length=max_tokens, device="cpu"
        )
        self._tokenizer = self._pipeline.preprocessor.nlp_tokenizer.tokenizer
        if type(self._tokenizer) is not BertTokenizer:
            raise TypeError(f"ModelScope reads with {type(self._tokenizer)}, not with BertTokenizer")

    def scores(self, texts: list[str]) -> list[float]:
        """Probability of 正面, text by text, as the pipeline does it for a list too."""
        answers = [self._pipeline(text) for text in texts]
        return [dict(zip(answer["labels"], answer["scores"], strict=True))["正面"] for answer in answers]

    def ids(self, texts: list[str]) -> list[list[int]]:
        """Token ids with [CLS] and [SEP], of the tokenizer that the pipeline uses."""
        return [self._tokenizer(text)["input_ids"] for text in texts]


def main() -> None:
    """Load, then answer until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--max-tokens", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    answers = _own_stdout()
    torch.set_num_threads(options.threads)
    stock = Stock(options.checkpoint, options.max_tokens)
    _answer(answers, _versions())
    for line in sys.stdin:
        ((wanted, texts),) = json.loads(line).items()
        _answer(answers, getattr(stock, wanted)(texts))


def _own_stdout() -> TextIO:
    """Standard output for the answers alone: whatever libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _answer(answers: TextIO, answer: Any) -> None:
    print(json.dumps(answer), file=answers, flush=True)


def _versions() -> dict[str, str]:
    own = {"python": platform.python_version(), "unicode": unicodedata.unidata_version}
    return own | {name: version(name) for name in PACKAGES}


if __name__ == "__main__":
    main()
