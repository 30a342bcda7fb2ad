"""Entry point of the API: `gunicorn --config api/gunicorn.conf.py api.wsgi:app`."""

from __future__ import annotations

import sys

from api.app import create_app
from tasks.errors import ConfigurationError
from tasks.log_format import start_logging
from tasks.settings import Settings
from tasks.store.connection import require_one_redis
from tasks.store.risks import require_durability, warn_of_risks
from tasks.tracing import trace

# The exit code by which gunicorn knows that the app cannot be loaded: it stops instead of trying again.
_APP_LOAD_ERROR = 4

settings = Settings.read()
start_logging(settings.log_level)
try:
    # In the process that serves, behind gunicorn's fork and gevent's patches: its thread is a greenlet.
    trace.start("api", settings)
    app = create_app(settings)
    require_one_redis(app.extensions["sentiq"].store.redis)
    require_durability(app.extensions["sentiq"].store)
    app.extensions["sentiq"].guard.require_keys()
except ConfigurationError as error:
    print(f"api: {error}", file=sys.stderr)
    sys.exit(_APP_LOAD_ERROR)
warn_of_risks(app.extensions["sentiq"].store)
