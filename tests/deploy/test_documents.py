"""What README and docs/ name is there: make targets, commands with their words, settings, files."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.processes import ROOT

CARD = ROOT / "models" / "embedded" / "CARD.md"
DOCUMENTS = [ROOT / "README.md", CARD, *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {path: path.read_text("utf-8") for path in DOCUMENTS}


def named(pattern: str) -> set[str]:
    """What the pattern's group finds in any document."""
    return {found for text in TEXTS.values() for found in re.findall(pattern, text)}


def test_every_make_target_is_there() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = named(r"(?:`|^|\n|    )make ([a-z][a-z0-9-]*)")
    assert {"up", "test", "compose-test", "model"} <= asked
    assert asked - targets == set()


def test_every_module_that_is_run_is_there() -> None:
    modules = named(r"python -m ([a-z][a-z0-9_.]*[a-z])")
    assert {"api.auth", "worker.packing", "worker.health"} <= modules
    assert {module for module in modules if not importlib.util.find_spec(module)} == set()


@pytest.mark.parametrize("module", ["api.auth", "worker.packing", "webhooks"])
def test_every_word_of_a_command_is_one_that_it_knows(module: str) -> None:
    words = named(rf"python -m {re.escape(module)} ((?:[a-z]+)(?: --[a-z-]+)*)")
    assert words
    for word in words:
        command, *options = word.split()
        asked = [sys.executable, "-m", module, command, "--help"]
        told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert [option for option in options if option not in told] == [], word


def test_every_setting_is_one_that_is_read() -> None:
    known = set(re.findall(r"SENTIMENT_[A-Z_]+", (ROOT / "docs" / "configuration.md").read_text("utf-8")))
    assert named(r"(SENTIMENT_[A-Z0-9_]*[A-Z0-9])") - known == set()


def test_every_link_leads_to_a_file() -> None:
    def dead(path: Path) -> list[str]:
        links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", TEXTS[path])
        return [link for link in links if not (path.parent / link).exists()]

    assert {path.name: dead(path) for path in DOCUMENTS if dead(path)} == {}
