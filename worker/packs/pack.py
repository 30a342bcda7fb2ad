"""Packs: model directories that are ready to serve, described by `pack.json` with a hash of each file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.errors import SentiqError
from tasks.vocabulary.labels import LabelSet

FORMAT = 2
REQUIRED_FILES = ("model.xml", "model.bin", "vocab.txt")
NGRAMS_FILE = "ngrams.npz"
REFERENCE_FILE = "reference.safetensors"
PACK_FILE = "pack.json"
# Far above those of any pack: larger numbers are mistakes, which would otherwise end in an error of memory.
_MAX_DESCRIPTION_BYTES = 2**20
_MAX_TEMPERATURE = 100
_MAX_ARCHITECTURE = 2**24
Input = Literal["text", "pair"]
_ARCHITECTURE = (
    "heads", "intermediate", "labels", "layers", "norm_epsilon", "positions", "token_types", "vocabulary",
    "width",
)  # fmt: skip


class PackError(SentiqError):
    """A pack is incomplete, changed or malformed. The message names the file and the cause."""

    code = "bad_pack"


@dataclass(frozen=True)
class Pack:
    """A verified pack.

    `input` is what the model reads: a text, or a pair of an aspect and a text. `files` maps names to SHA-256.
    `measured` compares int8 with fp32. `reason` explains the choice of
    `precision`, int8 or fp32. A verdict whose confidence is below `uncertain_below` is uncertain; it lies
    between 1 / labels, the lowest confidence that there is, and 1.
    """

    directory: Path
    id: str
    revision: str
    labels: LabelSet
    max_tokens: int
    precision: str
    architecture: Mapping[str, float]
    temperature: float
    files: Mapping[str, str]
    measured: Mapping[str, float]
    uncertain_below: float = 0.75
    reason: str = ""
    input: Input = "text"
    format: int = FORMAT

    @property
    def model(self) -> str:
        """Return how results name the pack: `id@revision`."""
        return f"{self.id}@{self.revision}"

    @property
    def fingerprint(self) -> str:
        """Return twelve hex digits that change with any file, for cache keys."""
        return hashlib.sha256(json.dumps(dict(self.files), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def batchable(self) -> bool:
        """Return whether rows may share a forward: not if the graph was measured to depend on the batch."""
        return bool(self.measured.get("batch_invariant", True))

    def described(self) -> dict[str, Any]:
        """Return the fields as `pack.json` holds them."""
        fields = asdict(self) | {"labels": self.labels.described()}
        del fields["directory"]
        return fields

    def path(self, name: str) -> Path:
        """Return the path of a listed file. Raises PackError for a file that the pack does not contain."""
        if name not in self.files:
            raise PackError(f"{name}: not part of pack {self.id}; make the pack again with this file")
        return self.directory / name


def load_pack(directory: Path) -> Pack:
    """Return the pack in `directory` after checking the hash of every listed file. Raises PackError."""
    pack = _parse(directory)
    for name, expected in pack.files.items():
        path = directory / name
        if not path.is_file():
            raise PackError(f"{name}: missing from {directory}")
        if file_sha256(path) != expected:
            raise PackError(f"{name}: changed since the pack was made (SHA-256 differs from pack.json)")
    return pack


def write_pack(pack: Pack) -> None:
    """Write `pack.json`, the last step of making a pack."""
    text = json.dumps(pack.described(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    (pack.directory / PACK_FILE).write_text(text, "utf-8")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parse(directory: Path) -> Pack:
    path = directory / PACK_FILE
    try:
        if path.stat().st_size > _MAX_DESCRIPTION_BYTES:
            raise PackError(f"pack.json: malformed (above {_MAX_DESCRIPTION_BYTES} bytes)")
        fields = json.loads(path.read_text("utf-8"))
        _refuse_other_formats(fields)
        pack = Pack(directory=directory, **fields | {"labels": LabelSet.read(fields["labels"])})
    except FileNotFoundError:
        raise PackError(f"pack.json: missing from {directory}") from None
    except RecursionError:
        raise PackError("pack.json: malformed (nested too deep)") from None
    except (ValueError, TypeError, KeyError) as error:
        raise PackError(f"pack.json: malformed ({error})") from error
    for cause in _faults(pack):
        raise PackError(f"pack.json: {cause}")
    return pack


def _refuse_other_formats(fields: Mapping[str, Any]) -> None:
    if fields["format"] != FORMAT:
        raise PackError(f"pack.json: format {fields['format']} is not {FORMAT}; make the pack again")


def _faults(pack: Pack) -> list[str]:
    """Return what is wrong with the values; empty when nothing is."""
    kinds: dict[str, Any] = {
        "id": str, "revision": str, "precision": str, "reason": str, "max_tokens": int, "temperature": float,
        "uncertain_below": float, "architecture": dict, "files": dict, "measured": dict,
    }  # fmt: skip
    wrong = [name for name, kind in kinds.items() if type(getattr(pack, name)) is not kind]
    if wrong:
        return [f"{name} is not of type {kinds[name].__name__}" for name in wrong]
    odd = [name for name in _ARCHITECTURE if not _is_size(pack.architecture.get(name))]
    if odd:
        return [f"{name} of the architecture is not within 0 and {_MAX_ARCHITECTURE}" for name in odd]
    lowest = 1 / len(pack.labels)
    checks = {
        f"input {pack.input!r} is not text or pair": pack.input in ("text", "pair"),
        f"{len(pack.labels)} labels for {pack.architecture['labels']} logits": len(pack.labels)
        == pack.architecture["labels"],
        f"max_tokens {pack.max_tokens} is below 3": pack.max_tokens >= 3,  # noqa: PLR2004  [CLS], one token, [SEP]
        f"max_tokens {pack.max_tokens} is above positions": pack.max_tokens <= pack.architecture["positions"],
        f"temperature {pack.temperature} is not within 0 and {_MAX_TEMPERATURE}": 0
        < pack.temperature
        <= _MAX_TEMPERATURE,
        f"uncertain_below {pack.uncertain_below} is not within {lowest:.4g} and 1": lowest
        <= pack.uncertain_below
        <= 1,
        "input is pair, and token_types of the architecture is below 2": pack.input == "text"
        or pack.architecture["token_types"] >= 2,  # noqa: PLR2004  a type for each part of a pair
        "a listed file lies outside the pack": all(Path(name).name == name for name in pack.files),
    }
    missing = [name for name in REQUIRED_FILES if name not in pack.files]
    return [cause for cause, holds in checks.items() if not holds] + [
        f"{name}: not listed" for name in missing
    ]


def _is_size(value: object) -> bool:
    return type(value) in (int, float) and 0 < value <= _MAX_ARCHITECTURE  # type: ignore[operator]
