"""Origins: where a pack's weights come from, told before anything is read or fetched."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from worker.packs.pack import PackError, file_sha256

# What can end up in a pack. Fetched by these patterns, and a directory's revision depends on no other file.
FILES = ("*.json", "vocab.txt", "*.safetensors", "pytorch_model.bin")
MODEL_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


@dataclass(frozen=True)
class Origin:
    """A directory, or without one the model `id` on ModelScope."""

    id: str
    revision: str
    directory: Path | None


def find_origin(name: str, revision: str | None) -> Origin:
    """What `name` names: a directory wins over a ModelScope id (`owner/name`, revision `master` by default).

    A directory's revision is 12 hex digits that change with its files. Raises PackError.
    """
    directory = Path(name).expanduser()
    if directory.is_dir():
        return Origin(directory.resolve().name, revision or _fingerprint(directory), directory)
    if MODEL_ID.fullmatch(name):
        return Origin(name, revision or "master", None)
    raise PackError(f"{name}: neither a directory nor a ModelScope id (owner/name)")


def _fingerprint(directory: Path) -> str:
    paths = {path for pattern in FILES for path in directory.glob(pattern) if path.is_file()}
    seals = [f"{path.name} {file_sha256(path)}" for path in sorted(paths)]
    return hashlib.sha256("\n".join(seals).encode()).hexdigest()[:12]
