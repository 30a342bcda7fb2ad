"""Where a pack's weights come from: a directory or a ModelScope id.

Apart from `hub` and `source`, so that an origin is resolved without ModelScope's client and torch.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from worker.packs.pack import NGRAMS_FILE, PackError, file_sha256

# The only files that a pack is made from: a download fetches these, and a revision is a hash of these.
FILES = ("*.json", "vocab.txt", "*.safetensors", "pytorch_model.bin", NGRAMS_FILE)
MODEL_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


@dataclass(frozen=True)
class Origin:
    """A directory, or the model `id` on ModelScope when `directory` is None."""

    id: str
    revision: str
    directory: Path | None


def find_origin(name: str, revision: str | None) -> Origin:
    """Return the origin `name`: a directory if one exists, else a ModelScope id (`owner/name`).

    The default revision is `master` for an id, and 12 hex digits that change with the files for a directory.
    Raises PackError.
    """
    directory = Path(name).expanduser()
    if directory.is_dir():
        return Origin(directory.resolve().name, revision or _fingerprint(directory), directory)
    if MODEL_ID.fullmatch(name):
        return Origin(name, revision or "master", None)
    raise PackError(f"{name}: neither a directory nor a ModelScope id (owner/name)")


def pack_revision(origin: Origin, labels: Path | None) -> str:
    """Return the revision of a pack: that of its origin, and 8 digits that change with a file of labels.

    Results name their labels by the revision, so packs with other labels need another one. Raises PackError.
    """
    if labels is None:
        return origin.revision
    try:
        return f"{origin.revision}-{file_sha256(labels)[:8]}"
    except OSError as error:
        raise PackError(f"{labels}: cannot be read: {error.strerror}") from error


def _fingerprint(directory: Path) -> str:
    paths = {path for pattern in FILES for path in directory.glob(pattern) if path.is_file()}
    lines = [f"{path.name} {file_sha256(path)}" for path in sorted(paths)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
