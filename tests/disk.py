"""A small file system in memory that can be full, for the data of a Redis. To mount it takes root."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_BALLAST = "ballast"
_BLOCK_BYTES = 4096
SMALL_BYTES = 8 * 2**20


class Disk:
    """A mounted file system. `fill` leaves no room on it, `free` gives the room back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Write a file until nothing more fits."""
        with (self.folder / _BALLAST).open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(_BLOCK_BYTES))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Remove that file."""
        (self.folder / _BALLAST).unlink(missing_ok=True)

    def unmount(self) -> None:
        """Take the file system away, with all that is on it."""
        subprocess.run([_program("umount"), "--lazy", self.folder], check=True)


def mount(folder: Path, size: int) -> Disk:
    """Mount an empty file system of `size` bytes over a folder."""
    options = f"size={size},mode=0700"
    command = [_program("mount"), "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return Disk(folder)


@contextmanager
def mounted(folder: Path, size: int = SMALL_BYTES) -> Iterator[Disk]:
    """Keep a file system over a folder while the context lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    disk = mount(folder, size)
    try:
        yield disk
    finally:
        disk.unmount()


@cache
def lacks_mount() -> str:
    """Return what this machine lacks to mount a file system, or nothing."""
    if os.geteuid() != 0:
        return "root, to mount a small disk"
    if not (shutil.which("mount") and shutil.which("umount")):
        return "mount and umount on PATH"
    with tempfile.TemporaryDirectory() as folder:
        try:
            mount(Path(folder), SMALL_BYTES).unmount()
        except subprocess.CalledProcessError:
            return "right to mount a small disk (CAP_SYS_ADMIN)"
    return ""


def _program(name: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is not on PATH"
    return path
