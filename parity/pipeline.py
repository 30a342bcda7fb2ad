"""A server for ModelScope's own pipeline over standard input and output. Runs in an environment of its own.

Each request and each response is a line of JSON. The request `{"scores": [texts]}` returns the probabilities
of each text in label order, `{"ids": [texts]}` its token ids and segment ids without truncation. A pair of
texts, `[first, second]`, may take the place of a text. The first line of output, sent without a request,
holds the versions of the libraries.
"""

from __future__ import annotations

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
from transformers import BertTokenizer

PACKAGES = ("modelscope", "transformers", "tokenizers", "torch", "numpy")


class Pipeline:
    """The pipeline as ModelScope's documentation builds it, on the CPU."""

    def __init__(self, checkpoint: Path, max_tokens: int) -> None:
        task = json.loads((checkpoint / "configuration.json").read_text("utf-8"))["task"]
        self._pipeline = pipeline(task, model=str(checkpoint), sequence_length=max_tokens, device="cpu")
        self._tokenizer = self._pipeline.preprocessor.nlp_tokenizer.tokenizer
        if type(self._tokenizer) is not BertTokenizer:
            raise TypeError(f"ModelScope's tokenizer is a {type(self._tokenizer)}, expected BertTokenizer")

    def scores(self, texts: list[Any]) -> list[list[float]]:
        """Return the probabilities of each text, one call a text as the pipeline does for a list."""
        numbers = self._pipeline.preprocessor.label2id
        answers = [self._pipeline(text if isinstance(text, str) else tuple(text)) for text in texts]
        by_label = [dict(zip(answer["labels"], answer["scores"], strict=True)) for answer in answers]
        return [[each[label] for label in sorted(numbers, key=numbers.get)] for each in by_label]

    def ids(self, texts: list[Any]) -> list[tuple[list[int], list[int]]]:
        """Return the token ids and segment ids of each text, from the pipeline's tokenizer."""
        encodings = [self._tokenizer(*([text] if isinstance(text, str) else text)) for text in texts]
        return [(encoding["input_ids"], encoding["token_type_ids"]) for encoding in encodings]


def main() -> None:
    """Load the pipeline and serve requests until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--max-tokens", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    output = _reserved_stdout()
    torch.set_num_threads(options.threads)
    loaded = Pipeline(options.checkpoint, options.max_tokens)
    _send(output, _versions())
    for line in sys.stdin:
        ((method, texts),) = json.loads(line).items()
        _send(output, getattr(loaded, method)(texts))


def _reserved_stdout() -> TextIO:
    """Return standard output for responses only, and send what libraries print to standard error."""
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return output


def _send(output: TextIO, response: Any) -> None:
    print(json.dumps(response), file=output, flush=True)


def _versions() -> dict[str, str]:
    own = {"python": platform.python_version(), "unicode": unicodedata.unidata_version}
    return own | {name: version(name) for name in PACKAGES}


if __name__ == "__main__":
    main()
