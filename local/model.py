"""The packs that `make up MODEL=` serves: existing ones, or such as are made once and kept in `.run/packs`.

`python -m local.model` ends with 0 if all of them exist, with 3 if one must be made, with 1 on an error.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from local.processes import ROOT
from tasks.console import replace_unencodable
from worker.packing.origin import Origin, find_origin, pack_revision
from worker.packs.pack import PACK_FILE, PackError, load_pack

MUST_BE_MADE = 3
_VARIABLES = ("MODEL", "REVISION", "LABELS")
_PACKS = ROOT / ".run" / "packs"


class ModelError(Exception):
    """MODEL, REVISION and LABELS name nothing that can be served; the message says why."""


class Model:
    """A model and the directory of its pack; `origin` is None for a pack that was given.

    `labels` is a file with its labels, None if its source names them.
    """

    def __init__(self, origin: Origin | None, pack: Path, labels: Path | None = None) -> None:
        self.pack = pack
        self._origin = origin
        self._labels = labels

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self | None:
        """Return the model that MODEL and REVISION name, or None if MODEL is unset. Raises ModelError.

        MODEL is a pack, a directory with a checkpoint, or a ModelScope id; LABELS is a file with its labels.
        """
        name, revision, labels = (env.get(variable) or None for variable in _VARIABLES)
        if not name:
            return None
        if env.get("SENTIMENT_PACK"):
            raise ModelError(f"MODEL={name} and SENTIMENT_PACK={env['SENTIMENT_PACK']}: set only one of them")
        directory = Path(name).expanduser()
        if revision and directory.is_dir():
            raise ModelError(
                f"REVISION={revision}: only ModelScope ids have revisions, and MODEL={name} is a directory"
            )
        if (directory / PACK_FILE).is_file():
            if labels:
                raise ModelError(f"LABELS={labels}: MODEL={name} is a pack, which has its labels already")
            return cls(None, directory.resolve())
        try:
            origin = find_origin(name, revision)
        except PackError as error:
            raise ModelError(f"MODEL={error}") from error
        return cls._made_of(origin, Path(labels).expanduser().resolve() if labels else None)

    @classmethod
    def _made_of(cls, origin: Origin, labels: Path | None) -> Self:
        try:
            revision = pack_revision(origin, labels)
        except PackError as error:
            raise ModelError(f"LABELS={error}") from error
        return cls(origin, _PACKS / _folder_name(origin.id) / _folder_name(revision), labels)

    @classmethod
    def all_from_env(cls, env: Mapping[str, str]) -> list[Self]:
        """Return the models that MODEL names, separated by spaces; none if it is unset. Raises ModelError."""
        names = env.get("MODEL", "")
        # The name of a directory may have spaces.
        several = [] if Path(names).expanduser().is_dir() else names.split()
        for variable in ("REVISION", "LABELS"):
            if len(several) > 1 and env.get(variable):
                given = f"{variable}={env[variable]} with MODEL={names}"
                raise ModelError(f"{given}: give it with one model only, then name its pack in MODEL")
        made = [cls.from_env({**env, "MODEL": name}) for name in several or [names]]
        return [model for model in made if model]

    @property
    def made(self) -> bool:
        """Return whether the pack exists and is intact."""
        if self._origin is None:
            return True
        try:
            load_pack(self.pack)
        except PackError:
            return False
        return True

    def make(self) -> None:
        """Make the pack. Ends this program if that fails, after the reason was printed."""
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
        if self._labels:
            options += ["--labels", str(self._labels)]
        # In a group of its own: a second Ctrl-C would interrupt the cleanup that the first one starts.
        maker = subprocess.Popen([*command, *options], cwd=ROOT, process_group=0)
        try:
            code = maker.wait()
        except KeyboardInterrupt:
            maker.terminate()
            maker.wait()
            raise
        if code:
            sys.exit(code)


def _folder_name(text: str) -> str:
    """Return the text as the name of one folder."""
    return text.replace("/", "--")


def main() -> int:
    """Return the exit code that says whether a pack must be made."""
    replace_unencodable()
    try:
        models = Model.all_from_env(os.environ)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if all(model.made for model in models) else MUST_BE_MADE


if __name__ == "__main__":
    sys.exit(main())
