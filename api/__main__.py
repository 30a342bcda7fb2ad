"""Print the OpenAPI document for the default settings: `python -m api > docs/openapi.json`."""

from __future__ import annotations

import sys

from pydantic_core import to_json

from api.app import create_app
from api.openapi.document import document
from tasks.errors import ConfigurationError
from tasks.settings import Settings


def main() -> int:
    """Print the document; return 0, or 1 if a setting is invalid."""
    try:
        settings = Settings.read()
    except ConfigurationError as error:
        sys.stderr.write(f"api: {error}\n")
        return 1
    # Bytes: the document is UTF-8 whatever the terminal takes.
    sys.stdout.buffer.write(to_json(document(create_app(settings), settings), indent=1) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
