"""Rooms and arrows. A room is a folder, or a file in a program's own folder; an arrow is an import."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = ("api", "tasks", "webhooks", "worker")
# Rooms that run, measure and train the programs: no program imports them.
TOOLS = ("bench", "deploy", "local", "parity", "samples", "training")
# The package that callers install: it knows the HTTP API, and nothing of the service.
CLIENT = ROOT / "client" / "sentiq"
HEAVY = {"torch", "transformers", "modelscope", "openvino", "numpy", "tokenizers"}
SCRIPTS = sorted((ROOT / "tasks" / "store" / "lua").rglob("*.lua"))
# Names that several rooms share, since each file is about the same thing there.
SAME_THING = {
    "api_keys",
    "audit",
    "keys",
    "operator_jobs",
    "pauses",
    "operator_deliveries",
    "owners",
    "usage",
    "aspects",
    "attachments",
    "comparisons",
    "__init__",
    "__main__",
    "jobs",
    "labels",
    "models",
    "items",
    "results",
    "shadows",
    "deliveries",
    "problems",
    "status",
    "summaries",
    "webhooks",
    "workers",
}

Graph = Mapping[str, set[str]]


def loaded_by(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter; return the top-level modules it loaded."""
    return {name.split(".")[0] for name in loaded_modules(statement)}


def loaded_modules(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter; return all modules it loaded."""
    code = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def modules(*folders: str) -> dict[str, str]:
    """Return the source of every module, by its name."""
    found = {}
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path.read_text("utf-8")
    return found


def imports_of(source: str) -> set[str]:
    """Return what a source imports anywhere, lazily or for types too, by full names."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def graph_of(sources: Mapping[str, str]) -> Graph:
    """Return which of these modules each of them imports."""
    return {name: imports_of(source) & set(sources) for name, source in sources.items()}


def room_of(module: str, folders: set[str]) -> str:
    """Return the folder of a module, or the module itself where it stands in a program's own folder."""
    parent = module.rpartition(".")[0]
    if module in folders:
        return module
    return module if "." not in parent else parent


def rooms_of(graph: Graph) -> Graph:
    """Return which rooms each room imports."""
    folders = {name for name in graph if any(other.startswith(f"{name}.") for other in graph)}
    rooms: dict[str, set[str]] = defaultdict(set)
    for module, imported in graph.items():
        room = room_of(module, folders)
        rooms[room] |= {room_of(name, folders) for name in imported} - {room, room.split(".")[0]}
    return rooms


def cycle_in(graph: Graph) -> str:
    """Return a cycle, empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(error.args[1])
    return ""


def outside(room: str, sources: Mapping[str, str], forbidden: set[str]) -> set[str]:
    """Return the forbidden packages that modules of a room import, each with the module."""
    return {
        f"{module}: {name}"
        for module, source in sources.items()
        if module == room or module.startswith(f"{room}.")
        for name in imports_of(source)
        if any(name == each or name.startswith(f"{each}.") for each in forbidden)
    }


SOURCES = modules(*PROGRAMS)
GRAPH = graph_of(SOURCES)
FORBIDDEN = {
    "tasks.vocabulary": {
        "redis",
        "celery",
        "kombu",
        "flask",
        "tasks.settings",
        "tasks.store",
        "tasks.broker",
    },
    "tasks.store": {"celery", "kombu", "flask", "tasks.broker"},
    "tasks.settings": {"redis", "celery", "flask"},
    "api.routes": {"redis", "celery"},
    "api.schemas": {"redis", "celery", "flask", "tasks.store"},
    "api.output": {"redis", "celery", "api.routes"},
    "api.intake": {"flask", "werkzeug", "api.http", "api.routes"},
    "worker.packs": {"worker.packing", "worker.scoring", "celery"},
    "worker.scoring": {"worker.packing", "worker.process", "celery", "redis"},
}

# Which rooms of its program a room may import. Other rooms must be free of cycles, and no more.
BELOW = {
    "api.schemas": set(),
    "api.waiting": set(),
    "api.intake": {"api.schemas", "api.waiting"},
    "api.output": {"api.schemas", "api.waiting"},
    "api.http": {"api.schemas", "api.intake", "api.waiting"},
    "api.auth": {"api.http", "api.schemas", "api.waiting"},
    "api.openapi": {"api.schemas", "api.auth", "api.http"},
    "tasks.vocabulary": set(),
    "tasks.store": {
        "tasks.redis_connections",
        "tasks.redis_url",
        "tasks.vocabulary",
        "tasks.settings",
        "tasks.errors",
    },
    "worker.packs": set(),
    "worker.engines": {"worker.packs"},
    "worker.scoring": {"worker.packs", "worker.engines"},
}


def test_importing_the_api_loads_no_model_library_and_no_worker() -> None:
    loaded = loaded_by("import api.wsgi")
    assert "flask" in loaded
    assert not loaded & (HEAVY | {"worker", "valkey"})


def test_importing_the_worker_loads_no_model_library_and_no_web_framework() -> None:
    loaded = loaded_by("import worker.main")
    assert "celery" in loaded
    assert not loaded & (HEAVY | {"flask", "gunicorn", "gevent", "api"})


def test_importing_the_sender_of_webhooks_loads_neither_of_the_others() -> None:
    loaded = loaded_by("import webhooks.__main__")
    assert "httpcore2" in loaded
    assert not loaded & (HEAVY | {"flask", "gunicorn", "gevent", "api", "worker", "openvino"})


def test_the_client_imports_nothing_of_the_service() -> None:
    sources = {str(path.relative_to(CLIENT)): path.read_text("utf-8") for path in CLIENT.rglob("*.py")}
    assert "client.py" in sources
    found = {(name, module) for name, source in sources.items() for module in imports_of(source)}
    assert {(name, module) for name, module in found if module.split(".")[0] in {*PROGRAMS, *TOOLS}} == set()


# What came with Python 3.11, while the client supports 3.10.
NEWER = {
    *(f"typing.{name}" for name in ("LiteralString", "Never", "NotRequired", "Required", "Self", "Unpack")),
    *(f"typing.{name}" for name in ("TypeVarTuple", "assert_never", "assert_type", "override")),
    *("asyncio.TaskGroup", "asyncio.timeout", "datetime.UTC", "enum.StrEnum", "tomllib", "wsgiref.types"),
}


def test_the_client_imports_nothing_that_its_oldest_python_lacks() -> None:
    sources = {path: path.read_text("utf-8") for path in CLIENT.rglob("*.py")}
    assert {(path.name, name) for path, source in sources.items() for name in imports_of(source) & NEWER} <= {
        ("profile.py", "tomllib")  # below a check of the version
    }


def test_no_program_imports_the_client() -> None:
    assert {name for name, source in SOURCES.items() if imports_of(source) & {"sentiq"}} == set()


def test_importing_the_client_loads_nothing_but_its_own_dependencies() -> None:
    loaded = loaded_by("import sys; sys.path.insert(0, 'client'); import sentiq")
    optional = {"celery", "pandas", "pyarrow", "openpyxl"}
    assert "httpx2" in loaded
    assert not loaded & {*HEAVY, *PROGRAMS, *TOOLS, *optional, "pydantic", "redis"}


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_the_arrows_lead_from_each_program_to_tasks(module: str) -> None:
    program = module.split(".", maxsplit=1)[0]
    assert {name.split(".")[0] for name in GRAPH[module]} <= {program, "tasks"}
    assert not outside(module, SOURCES, set(TOOLS))


def test_the_import_graph_has_no_cycle_of_files() -> None:
    assert len(GRAPH) > 100
    assert cycle_in(GRAPH) == ""


def test_the_import_graph_has_no_cycle_of_rooms() -> None:
    rooms = rooms_of(GRAPH)
    assert {"tasks.store", "api.routes", "worker.process", "tasks.settings", "api.app"} <= rooms.keys()
    assert cycle_in(rooms) == ""


def test_no_two_tools_import_one_another() -> None:
    graph = graph_of(modules(*TOOLS))
    tools: dict[str, set[str]] = {tool: set() for tool in TOOLS}
    for module, imported in graph.items():
        tools[module.split(".")[0]] |= {name.split(".")[0] for name in imported} - {module.split(".")[0]}
    assert cycle_in(tools) == ""


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_those_below_it(room: str) -> None:
    program = room.split(".", maxsplit=1)[0]
    assert {name for name in rooms_of(GRAPH)[room] if name.startswith(f"{program}.")} <= BELOW[room]


def test_only_the_tracer_imports_opentelemetry_and_only_the_switch_imports_the_tracer() -> None:
    users = {
        module for module, source in SOURCES.items() if outside(module, {module: source}, {"opentelemetry"})
    }
    assert users == {"tasks.tracing.otel"}
    assert {module for module, names in GRAPH.items() if "tasks.tracing.otel" in names} == {
        "tasks.tracing.trace"
    }
    assert "tasks.tracing.otel" not in loaded_modules("import api.wsgi, worker.main, webhooks.__main__")


def test_only_routes_and_the_app_know_the_services() -> None:
    users = {module for module, names in GRAPH.items() if "api.routes.context" in names}
    assert {module for module in users if not module.startswith("api.routes.")} == {"api.app"}


def test_routes_do_not_reach_through_the_store() -> None:
    routes = {module: source for module, source in SOURCES.items() if module.startswith("api.routes.")}
    assert [module for module, source in routes.items() if ".redis" in source] == []


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_nothing_that_is_not_for_it(room: str) -> None:
    assert any(module == room or module.startswith(f"{room}.") for module in SOURCES)
    assert outside(room, SOURCES, FORBIDDEN[room]) == set()


def test_no_two_files_share_a_name_unless_they_are_about_the_same_thing() -> None:
    names = defaultdict(list)
    for path in sorted(path for program in PROGRAMS for path in (ROOT / program).rglob("*.py")):
        names[path.stem].append(str(path.relative_to(ROOT)))
    shared = {name: paths for name, paths in names.items() if len(paths) > 1 and name not in SAME_THING}
    assert shared == {}


def test_no_handler_is_called_read() -> None:
    handlers = [
        f"{module}: {node.name}"
        for module, source in SOURCES.items()
        if module.startswith("api.routes.")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == "read"
    ]
    assert handlers == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_names_its_arguments_and_documents_them(script: Path) -> None:
    source = script.read_text("utf-8")
    head = source.split("\n\n")[0] if script.parent.name == "include" else re.match(r"(?:--.*\n)+", source)[0]  # type: ignore[index]
    code = "\n".join(line for line in source.split("\n") if not line.startswith("--"))
    assert not re.search(r"\b(ARGV|KEYS)\b", code), "arguments are args.NAME, keys are keys.NAME"
    used = set(re.findall(r"\bargs\.(\w+)", code))
    assert {name for name in used if not re.search(rf"\b{name}\b", head)} == set()


PLANTED = {
    "a lazy import closes a cycle of rooms": (
        "tasks.vocabulary.jobs",
        "def later():\n    from tasks.store.jobs import JobStore\n",
    ),
    "an import for types closes one too": (
        "api.schemas.jobs",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from api.routes.jobs import jobs\n",
    ),
    "settings import what imports them": ("tasks.settings", "from tasks.store.jobs import JobStore\n"),
}


@pytest.mark.parametrize(("module", "code"), PLANTED.values(), ids=PLANTED)
def test_a_planted_cycle_is_seen(module: str, code: str) -> None:
    assert cycle_in(rooms_of(graph_of(SOURCES | {module: SOURCES[module] + code})))


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_planted_import_is_seen(room: str) -> None:
    module = next(
        name for name in sorted(SOURCES, reverse=True) if name == room or name.startswith(f"{room}.")
    )
    for name in FORBIDDEN[room]:
        planted = SOURCES | {module: SOURCES[module] + f"\ndef later():\n    import {name}\n"}
        assert outside(room, planted, FORBIDDEN[room]) == {f"{module}: {name}"}
