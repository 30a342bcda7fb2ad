"""The folders of the API, and the files directly in it, import each other in one direction."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from tests.test_architecture import GRAPH, ROOT

API = {module: names for module, names in GRAPH.items() if module.split(".")[0] == "api"}


def room(module: str) -> str:
    return ".".join(module.split(".")[:2])


ARROWS: dict[str, set[str]] = {}
for importer, imported in API.items():
    inner = {room(name) for name in imported if name.startswith("api.")}
    ARROWS.setdefault(room(importer), set()).update(inner - {room(importer)})


def test_the_rooms_have_no_cycle() -> None:
    assert {"api.routes", "api.http", "api.app"} <= set(ARROWS)
    try:
        TopologicalSorter(ARROWS).prepare()
    except CycleError as error:
        pytest.fail(f"cycle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("importer", "allowed"),
    [
        ("api.schemas", set()),
        ("api.waiting", set()),
        ("api.intake", {"api.schemas"}),
        ("api.output", {"api.schemas", "api.waiting"}),
        ("api.http", {"api.schemas", "api.intake"}),
        ("api.auth", {"api.http"}),
        ("api.openapi", {"api.schemas", "api.auth", "api.http"}),
    ],
)
def test_a_room_imports_only_those_below_it(importer: str, allowed: set[str]) -> None:
    assert ARROWS[importer] <= allowed


def test_only_routes_and_the_app_know_the_services() -> None:
    users = {room(module) for module, names in API.items() if "api.routes.context" in names}
    assert users == {"api.routes", "api.app"}


def test_intake_knows_no_flask_and_routes_know_no_redis() -> None:
    for path in (ROOT / "api" / "intake").glob("*.py"):
        assert "flask" not in path.read_text("utf-8"), path.name
    for path in (ROOT / "api" / "routes").glob("*.py"):
        text = path.read_text("utf-8")
        assert "import redis" not in text, path.name
        assert ".redis" not in text, path.name
