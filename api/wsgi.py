"""Entry point of the API: `gunicorn --config api/gunicorn.conf.py api.wsgi:app`."""

from __future__ import annotations

from api.app import create_app
from tasks.settings import Settings

app = create_app(Settings.read())
