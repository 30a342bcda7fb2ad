"""The environments of peers: one below `.run/peers` for each lock file in `requirements/peers`."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from local.processes import ROOT

_ENVIRONMENTS = ROOT / ".run" / "peers"
_LOCKS = ROOT / "requirements" / "peers"
_TORCH = ROOT / "requirements" / "torch.txt"
_PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet", "install")
_VERSIONS = """
import json, platform
from importlib.metadata import distributions
versions = {each.name.lower(): each.version for each in distributions()}
print(json.dumps(versions | {"python": platform.python_version()}))
"""


class EnvironmentFailedError(Exception):
    """An environment cannot be made; the message is the last line that pip wrote."""


def interpreter(name: str, *, torch: bool) -> Path:
    """Return the Python of an environment; make it first if it is absent or its lock file has changed.

    Raise EnvironmentFailedError.
    """
    lock, directory = _LOCKS / f"{name}.lock", _ENVIRONMENTS / name
    # torch first: what needs it then finds it, though no lock file has it.
    files = [_TORCH, lock] if torch else [lock]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    python, made = directory / "bin" / "python", directory / ".made"
    if not made.is_file() or made.read_text("utf-8") != digest:
        print(f"making the environment {name} (once, a minute or two)", file=sys.stderr, flush=True)
        _call([sys.executable, "-m", "venv", "--clear", str(directory)])
        for file in files:
            hashes = ["--require-hashes"] if file == lock else []
            _call([str(python), *_PIP, *hashes, "--requirement", str(file)])
        made.write_text(digest, "utf-8")
    return python


def versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of Python and of these packages in an environment."""
    done = subprocess.run([python, "-I", "-c", _VERSIONS], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return {name: found[name] for name in ("python", *packages) if name in found}


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise EnvironmentFailedError(next((line for line in lines if line.startswith("ERROR")), lines[-1]))
