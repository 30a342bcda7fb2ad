"""REDIS_URL: every program reads it in the same way, or refuses it without showing any part of it."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys

import pytest

from local.processes import ROOT
from tasks.broker.celery_app import build_celery
from tasks.errors import ConfigurationError
from tasks.redis_url import read_redis_url
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
        (f"redis://:{SECRET}@h/0?db=2", "takes no query"),
        (f"rediss://:{SECRET}@h/0?password=x", "takes only"),
        (f"unix://:{SECRET}@h/socket", "expected redis://"),
        (f"unix://:{SECRET}@/socket?db=x", "db must be the number"),
        (f"unix://:{SECRET}@/socket?password=x", "takes only db"),
        (f"redis+sentinel://:{SECRET}@h:1,g:2", "expected redis://"),
        (f"redis+sentinel://:{SECRET}@/service/0", "expected redis://"),
        (f"redis+sentinel://:{SECRET}@h:1,g:port/service", "port must be a number"),
        (f"redis+sentinel://:{SECRET}@h:1,,g/service", "port must be a number"),
        (f"redis+sentinel://:{SECRET}@h/service/first", "database after the last / must be a number"),
        (f"redis+sentinel://:{SECRET}@h/service?master=x", "takes only sentinel_password, sentinel_user"),
        (f"redis+cluster://:{SECRET}@h/0", "expected redis://"),
        (f"rediss://:{SECRET}@h/0?ssl_cert_reqs=none", "always verified"),
        (f"rediss://:{SECRET}@h/0?ssl_check_hostname=false", "takes only"),
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


def test_every_part_of_a_url_of_sentinels_is_read() -> None:
    read = read_redis_url(
        "rediss+sentinel://api:a%40b@one:26380,two,[::1]:5/ours/3?sentinel_password=c%40d&ssl_ca_certs=/ca.pem"
    )
    assert read.sentinels == (("one", 26380), ("two", 26379), ("::1", 5))
    assert (read.service, read.database, read.user, read.password) == ("ours", 3, "api", "a@b")
    assert read.sentinel_login == {"password": "c@d"}
    assert read.tls == {
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
        "ssl_check_hostname": True,
        "ssl_ca_certs": "/ca.pem",
    }
    assert "a@b" not in repr(read)
    assert "c@d" not in repr(read)


def test_the_way_to_a_socket_is_read() -> None:
    read = read_redis_url("unix://api:a%40b@/run/redis%20one.sock?db=4")
    assert (read.path, read.database, read.user, read.password) == ("/run/redis one.sock", 4, "api", "a@b")


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
