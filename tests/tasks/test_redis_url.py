"""REDIS_URL: every program reads it in the same way, or refuses it without showing any part of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from local.processes import ROOT
from tasks.broker.celery_app import build_celery
from tasks.errors import ConfigurationError
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tests.programs import PROGRAMS

SECRET = "Gehe7im"  # noqa: S105  planted


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f" redis://:{SECRET}@h/0", "expected redis://"),
        (f"valkey://:{SECRET}@h/0", "expected redis://"),
        (f":{SECRET}@h:6379/0", "expected redis://"),
        (f"redis://:{SECRET}/0", "percent-encode the password"),
        (f"redis://:{SECRET}#x@h/0", "percent-encode the password"),
        (f"redis://:12#{SECRET}@h/0", "percent-encode the password"),
        (f"redis://:{SECRET}/x@h/0", "percent-encode the password"),
        (f"redis://:12/{SECRET}@h/0", "percent-encode the password"),
        (f"redis://:{SECRET}?x@h/0", "percent-encode the password"),
        (f"redis://:12?{SECRET}@h/0", "percent-encode the password"),
        (f"redis://:{SECRET}[x@h/0", "percent-encode the password"),
        (f"redis://:{SECRET} x@h/0", "percent-encode the password"),
        (f"redis://:{SECRET}密@h/0", "percent-encode the password"),
        (f"redis://:{SECRET}\n@h/0", "percent-encode the password"),
        (f"redis://:{SECRET}@h:port/0", "port must be a number"),
        (f"redis://:{SECRET}@h:70000/0", "port must be a number"),
        (f"redis://:{SECRET}@h:0/0", "port must be a number"),
        (f"redis://:{SECRET}@h/abc", "database after the last / must be a number"),
        (f"redis://:{SECRET}@h/-1", "database after the last / must be a number"),
        (f"redis://:{SECRET}@h/0/1", "database after the last / must be a number"),
        (f"redis://:{SECRET}@/0", "expected redis://"),
        (f"redis://:{SECRET}@h/0?db=2", "only rediss:// takes a query"),
        (f"rediss://:{SECRET}@h/0?password=x", "only rediss:// takes a query"),
        (f"rediss://:{SECRET}@h/0?ssl_cert_reqs=none", "always verified"),
        (f"rediss://:{SECRET}@h/0?ssl_check_hostname=false", "only rediss:// takes a query"),
    ],
)
def test_a_url_that_connections_would_read_differently_is_refused_without_its_parts(
    url: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(ConfigurationError, match=rf"^REDIS_URL=\(hidden\): .*{reason}") as caught:
        Settings.read()
    assert SECRET not in str(caught.value)
    assert SECRET not in str(caught.value.__cause__)


@pytest.mark.parametrize("path", ["", "/", "/0", "/12"])
@pytest.mark.parametrize("login", ["", ":Gehe%23im%2F%40@", "api:Gehe%23im%2F%40@", "api:a:b@"])
def test_the_store_and_the_broker_read_a_url_alike(
    login: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://{login}h{path}")
    settings = Settings.read()
    store = JobStore.connect(settings).redis.connection_pool.connection_kwargs
    broker = build_celery(settings).connection_for_read()
    assert broker.password == store.get("password")
    assert broker.userid == store.get("username")
    assert int(broker.virtual_host.strip("/") or 0) == store.get("db", 0)


MISSPELT = {
    "SENTIMENT_WEBHOOK_SECERT": f"whsec_{SECRET}",
    "SENTIMENT_REDIS_URL": f"redis://:{SECRET}@h/0",
    "SENTIMENT_ID_SECRETS": SECRET,
}
MALFORMED = {
    "REDIS_URL": f"valkey://:{SECRET}@h/0",
    "SENTIMENT_WEBHOOK_SECRET": SECRET,
    "SENTIMENT_LOG_LEVEL": f"whsec_{SECRET}",
    "PORT": f"redis://:{SECRET}@h/0",
    "AUTH": f"sentiq_{SECRET}",
}
COMMANDS = PROGRAMS | {
    "api": ("gunicorn", "--check-config", "--config", "api/gunicorn.conf.py", "api.wsgi:app"),
    "document": ("api",),
}


@pytest.mark.parametrize("variable", MISSPELT)
def test_the_value_of_a_misspelt_variable_is_not_shown(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, MISSPELT[variable])
    with pytest.raises(ConfigurationError, match=variable) as caught:
        Settings.read()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("program", COMMANDS)
def test_no_program_shows_a_secret_that_it_refuses(program: str) -> None:
    command = [sys.executable, "-m", *COMMANDS[program]]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | MALFORMED, capture_output=True, text=True, check=False
    )
    printed = done.stdout + done.stderr
    assert done.returncode != 0, printed
    assert [name for name in MALFORMED if f"{name}=(hidden)" not in printed] == [], printed
    assert SECRET not in printed
    assert "Traceback" not in printed
