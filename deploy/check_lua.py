"""`python -m deploy.check_lua`: run luacheck on each Lua script with its includes, as Redis runs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.store.scripts import LUA, source

# The globals of Redis, and names that every script defines, used or not.
_OPTIONS = [
    *("--std", "lua51", "--globals", "redis", "cjson", "struct", "KEYS", "ARGV"),
    *("--ignore", "211/payload", "211/keys", "--max-line-length", "120", "--no-color", "--quiet"),
]


def main() -> int:
    """Return the exit code of luacheck; 0, and print a line, if it is not installed."""
    if not shutil.which("luacheck"):
        print("skipped: the check of Lua scripts, luacheck is not on PATH (Debian package lua-check)")
        return 0
    with TemporaryDirectory() as folder:
        for path in LUA.glob("*.lua"):
            Path(folder, path.name).write_text(source(path), "utf-8")
        return subprocess.run(["luacheck", *_OPTIONS, "."], cwd=folder, check=False).returncode  # noqa: S607


if __name__ == "__main__":
    sys.exit(main())
