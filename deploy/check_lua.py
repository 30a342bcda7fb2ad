"""`python -m deploy.check_lua`: run luacheck on each Lua script behind what it includes, as Redis gets it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.store.scripts import LUA, source

# The names that every script gets, whether it uses them or not; and what Redis offers.
_OPTIONS = [
    *("--std", "lua51", "--globals", "redis", "cjson", "KEYS", "ARGV"),
    *("--ignore", "211/payload", "211/keys", "--max-line-length", "120", "--no-color", "--quiet"),
]


def main() -> int:
    """Return 0 when luacheck has nothing to say, or is not installed: then a line says so."""
    if not shutil.which("luacheck"):
        print("left out: the Lua scripts, there is no luacheck on PATH (Debian: lua-check)")
        return 0
    with TemporaryDirectory() as folder:
        for path in LUA.glob("*.lua"):
            Path(folder, path.name).write_text(source(path), "utf-8")
        return subprocess.run(["luacheck", *_OPTIONS, "."], cwd=folder, check=False).returncode  # noqa: S607


if __name__ == "__main__":
    sys.exit(main())
