"""A time of day that a test sets, for programs that share it: hours pass for all of them at once.

libfaketime does not do: with the Python of some systems `time.sleep` fails under it, so that programs end.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).parent / "clock.c"


def lacks_clock() -> str:
    """Return what this machine lacks for another clock, or nothing."""
    return "" if shutil.which("cc") else "C compiler (cc)"


class Clock:
    """The clock of all programs that are started with `variables`; its files are in a folder.

    It is `ahead_s` seconds ahead of the real one, behind it if that is negative.
    """

    def __init__(self, folder: Path, ahead_s: int = 0) -> None:
        self._file, self._library = folder / "clock", folder / "clock.so"
        self._ahead_s = ahead_s
        if not self._library.exists():
            compiler = shutil.which("cc")
            assert compiler, "no C compiler (cc) is on PATH"
            options = ("-shared", "-fPIC", "-O1", "-ldl", "-lpthread")
            subprocess.run([compiler, "-o", self._library, _SOURCE, *options], check=True)
        self.go_on(0)

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables of a program that goes by this clock."""
        return {"LD_PRELOAD": str(self._library), "CLOCK": str(self._file)}

    def go_on(self, seconds: int) -> None:
        """Let that time pass at once."""
        self._ahead_s += seconds
        # Programs read the file at any moment: it is replaced, never half written.
        new = self._file.with_suffix(".new")
        new.write_text(str(self._ahead_s), "ascii")
        new.replace(self._file)
