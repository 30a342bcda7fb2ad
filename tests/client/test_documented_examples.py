"""The examples of docs/client.md run."""

from __future__ import annotations

import re
from typing import Any

import pytest

from local.processes import ROOT

DOCUMENT = (ROOT / "docs" / "client.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
OTHERS = re.findall(r"^```python other\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


def test_the_examples_run(
    live_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(EXAMPLES) >= 5
    monkeypatch.setenv("SENTIQ_URL", live_url)
    names: dict[str, Any] = {}
    for number, example in enumerate(EXAMPLES):
        exec(compile(example, f"example {number}", "exec"), names)  # noqa: S102  our own document
    printed = capsys.readouterr().out
    assert printed.startswith("negative\n")
    assert "r199 1 positive" in printed
    assert "南山店" in printed


def test_examples_of_other_systems_compile() -> None:
    for number, example in enumerate(OTHERS):
        compile(example, f"other {number}", "exec")
