"""The pack that `make up MODEL=` serves: a pack as it is, or one made once and kept in `.run/packs`.

Run as a module this ends with 0 when nothing has to be made, with 3 when a pack has.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from local.processes import ROOT
from worker.packing.origin import Origin, find_origin
from worker.packs.pack import PACK_FILE, PackError, load_pack

TO_BE_MADE = 3
_KEPT = ROOT / ".run" / "packs"


class ModelError(Exception):
    """What MODEL and REVISION ask for cannot be served; the message says why."""


class Model:
    """A model that somebody asked for, and the directory of its pack."""

    def __init__(self, origin: Origin | None, pack: Path) -> None:
        self.pack = pack
        self._origin = origin

    @classmethod
    def asked_for(cls, env: Mapping[str, str]) -> Self | None:
        """What MODEL (a pack, a directory or a ModelScope id) and REVISION name. Raises ModelError."""
        name, revision = env.get("MODEL"), env.get("REVISION")
        if not name:
            return None
        if env.get("SENTIMENT_PACK"):
            raise ModelError(f"MODEL={name} and SENTIMENT_PACK={env['SENTIMENT_PACK']}: set one of them")
        directory = Path(name).expanduser()
        if revision and directory.is_dir():
            raise ModelError(f"REVISION={revision}: for ModelScope ids only, and MODEL={name} is a directory")
        if (directory / PACK_FILE).is_file():
            return cls(None, directory.resolve())
        try:
            origin = find_origin(name, revision)
        except PackError as error:
            raise ModelError(f"MODEL={error}") from error
        return cls(origin, _KEPT / _as_name(origin.id) / _as_name(origin.revision))

    @property
    def made(self) -> bool:
        """Whether its pack is there, whole."""
        if self._origin is None:
            return True
        try:
            load_pack(self.pack)
        except PackError:
            return False
        return True

    def make(self) -> None:
        """Make its pack. Ends this program when that fails: the reason has been printed by then."""
        if self._origin is None:
            return
        source = self._origin.directory.resolve() if self._origin.directory else self._origin.id
        command = [
            sys.executable,
            "-m",
            "worker.packing",
            "make",
            "--source",
            str(source),
            "--out",
            str(self.pack),
        ]
        options = ["--id", self._origin.id, "--revision", self._origin.revision]
        # Out of reach of Ctrl-C: one signal unwinds it, a second would interrupt its tidying up.
        making = subprocess.Popen([*command, *options], cwd=ROOT, process_group=0)
        try:
            code = making.wait()
        except KeyboardInterrupt:
            making.terminate()
            making.wait()
            raise
        if code:
            sys.exit(code)


def _as_name(text: str) -> str:
    """As one folder's name."""
    return text.replace("/", "--")


def main() -> int:
    """Tell whether a pack has to be made."""
    try:
        model = Model.asked_for(os.environ)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if model is None or model.made else TO_BE_MADE


if __name__ == "__main__":
    sys.exit(main())
