"""Print the OpenAPI document for the default settings: `python -m api > docs/openapi.json`."""

from __future__ import annotations

import sys

from pydantic_core import to_json

from api.app import create_app
from api.openapi.document import document
from tasks.settings import Settings

if __name__ == "__main__":
    settings = Settings()
    sys.stdout.write(to_json(document(create_app(settings), settings), indent=1).decode() + "\n")
