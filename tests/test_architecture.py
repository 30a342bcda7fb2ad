from __future__ import annotations

import ast
import json
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("api", "webhooks", "tasks", "worker")
HEAVY = {"torch", "transformers", "modelscope", "openvino", "numpy", "tokenizers"}


def loaded_by(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter; return the top-level modules it loaded."""
    code = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(done.stdout)}


def modules() -> dict[str, Path]:
    found = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules of ours that a file imports anywhere, lazily or for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found & set(known)


GRAPH = {name: imports_of(path, modules()) for name, path in modules().items()}


def test_importing_the_api_loads_no_model_library_and_no_worker() -> None:
    loaded = loaded_by("import api.wsgi")
    assert "flask" in loaded
    assert not loaded & (HEAVY | {"worker"})


def test_importing_the_worker_loads_no_model_library_and_no_web_framework() -> None:
    loaded = loaded_by("import worker.main")
    assert "celery" in loaded
    assert not loaded & (HEAVY | {"flask", "gunicorn", "gevent", "api"})


def test_importing_the_sender_of_webhooks_loads_neither_of_the_others() -> None:
    loaded = loaded_by("import webhooks.__main__")
    assert "httpcore2" in loaded
    assert not loaded & (HEAVY | {"flask", "gunicorn", "gevent", "api", "worker", "openvino"})


@pytest.mark.parametrize("module", sorted(modules()))
def test_the_arrows_lead_from_each_room_to_tasks(module: str) -> None:
    room = module.split(".", maxsplit=1)[0]
    assert {name.split(".")[0] for name in GRAPH[module]} <= {room, "tasks"}


def test_the_import_graph_has_no_cycle() -> None:
    assert len(GRAPH) > 20
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(f"cycle: {' -> '.join(error.args[1])}")
