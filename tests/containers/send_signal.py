"""Run in a container: `SIGNAL DEPTH WORD` signals processes below process 1 whose command has the word.

The children of process 1 have the depth 1. Write the number of signalled processes.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

signum, depth, word = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
parents, commands = {}, {}
for process in Path("/proc").glob("[0-9]*"):
    with suppress(OSError):  # it has ended meanwhile
        parents[int(process.name)] = int((process / "stat").read_text("utf-8").rpartition(")")[2].split()[1])
        commands[int(process.name)] = (process / "cmdline").read_text("utf-8")
level = {1}
for _ in range(depth):
    level = {pid for pid, parent in parents.items() if parent in level}
chosen = [pid for pid in level if word in commands[pid]]
for pid in chosen:
    os.kill(pid, signum)
sys.stdout.write(str(len(chosen)))
