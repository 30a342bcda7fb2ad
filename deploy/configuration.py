"""`python -m deploy.configuration`: every setting as a table, out of the settings themselves."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tasks.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
_HEAD = """# Configuration

Environment variables, read once when a program starts. One environment serves all programs, each takes
what it needs; an unknown `SENTIMENT_…` or a value that cannot be read stops the program and says what was
expected. Made from [`tasks/settings.py`](../tasks/settings.py) by `make configuration`.

| variable | default | values | what it is |
| --- | --- | --- | --- |
"""
_BOUNDS = {"exclusiveMinimum": "above", "minimum": "from", "maximum": "to"}


def configuration() -> str:
    """Return the page."""
    schema = Settings.model_json_schema(by_alias=False)["properties"]
    rows = [
        f"| `{variable}` | {_default(field)} | {_values(schema[name])} | {field.description} |\n"
        for (name, field), variable in zip(
            Settings.model_fields.items(), Settings.variables().values(), strict=True
        )
    ]
    return _HEAD + "".join(rows)


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value == ():
        return ""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    elif isinstance(value, Path):
        value = value.relative_to(ROOT)
    elif isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _values(schema: dict[str, Any]) -> str:
    """Tell a type with its bounds, or the values there are."""
    if "anyOf" in schema:
        (schema,) = [each for each in schema["anyOf"] if each["type"] != "null"]
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("format") == "password":
        return "text, hidden in messages"
    kind = {"integer": "whole number", "boolean": "`true`, `false`", "array": "list, by comma"}
    bounds = [f"{word} {schema[bound]:g}" for bound, word in _BOUNDS.items() if bound in schema]
    return " ".join([kind.get(schema["type"], schema.get("format", schema["type"])), *bounds])


if __name__ == "__main__":
    print(configuration(), end="")
