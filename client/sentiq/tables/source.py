"""Where a table comes from: a file, or standard input, which is copied to a file without a name."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from sentiq.tables.table import TableError

_SAMPLES = 64
_SAMPLE_BYTES = 64 * 1024


class Source:
    """Bytes that can be read several times, from the start each time."""

    def __init__(self, name: str, path: Path | None, spool: IO[bytes] | None = None) -> None:
        self.name = name
        self.path = path
        self._spool = spool

    @classmethod
    def of(cls, name: str, stdin: IO[bytes]) -> Source:
        """Return the source of a name; `-` is standard input. Raises TableError if it cannot be read."""
        if name == "-":
            spool = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the source
            try:
                shutil.copyfileobj(stdin, spool, 1024 * 1024)
                spool.flush()
            except OSError as error:
                raise TableError(
                    f"Standard input cannot be kept in {tempfile.gettempdir()}: {error}"
                ) from None
            return cls("standard input", None, spool)
        path = Path(name)
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise TableError(f"{name} is no regular file. Pipe it into the command, and give - as the file.")
        try:
            path.open("rb").close()
        except OSError as error:
            raise TableError(f"{name} cannot be read: {error.strerror}. Check the path.") from None
        return cls(name, path)

    @property
    def suffix(self) -> str:
        """Return the suffix of the name in lower case, empty for standard input."""
        return self.path.suffix.lower() if self.path else ""

    @property
    def size(self) -> int:
        """Return the size in bytes."""
        return self.path.stat().st_size if self.path else os.fstat(self._handle.fileno()).st_size

    def open(self) -> IO[bytes]:
        """Return a new file at the first byte."""
        return self.path.open("rb") if self.path else io.BufferedReader(_Again(self._handle.fileno()))

    def identity(self) -> Mapping[str, Any]:
        """Return what changes when the content does: size, time of change, and a hash of samples.

        Standard input has no time, and is hashed whole.
        """
        size = self.size
        step = _SAMPLE_BYTES if self.path is None else max(_SAMPLE_BYTES, size // _SAMPLES)
        digest = hashlib.sha256()
        with self.open() as file:
            for place in range(0, size, step):
                file.seek(place)
                digest.update(file.read(_SAMPLE_BYTES))
            file.seek(max(0, size - _SAMPLE_BYTES))
            digest.update(file.read(_SAMPLE_BYTES))
        changed = self.path.stat().st_mtime_ns if self.path else None
        return {"size": size, "changed_ns": changed, "sha256_of_samples": digest.hexdigest()}

    @property
    def _handle(self) -> IO[bytes]:
        if self._spool is None:
            raise TypeError("a source has a path or a spool")
        return self._spool


class _Again(io.RawIOBase):
    """A file that is open already, read from its start with a position of its own."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._descriptor, len(buffer), self._place)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place}.get(whence, os.fstat(self._descriptor).st_size)
        self._place = max(0, start + offset)
        return self._place
