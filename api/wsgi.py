"""Entry point of the API: `gunicorn --config api/gunicorn.conf.py api.wsgi:app`."""

from __future__ import annotations

import logging

from api.app import create_app
from tasks.settings import Settings

settings = Settings.read()
logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(message)s")
app = create_app(settings)
