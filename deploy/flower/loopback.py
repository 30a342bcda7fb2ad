"""Flower for `make up`, which asks for no login: it answers to the names of this machine only.

Otherwise a web page whose host name resolves to 127.0.0.1 could read it (DNS rebinding).
"""

from celery.app.control import Control
from flower.urls import handlers
from tornado.routing import HostMatches, Rule

from deploy.flower.app import app

__all__ = ["app"]

_OWN_NAMES = r"(localhost|127(\.\d{1,3}){3})$"

# Flower builds its application from this list, and has no option for host names.
handlers[:] = [Rule(HostMatches(_OWN_NAMES), list(handlers))]
# One user reaches this Redis and Flower: its page of a worker may ask the worker for more than it reports.
app.control_cls = Control
