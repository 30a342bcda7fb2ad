"""The configuration of nginx, and when its start script refuses to serve."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from local.processes import ROOT

NGINX = ROOT / "deploy" / "nginx"
SITE = (NGINX / "site.conf").read_text("utf-8")
LOCATIONS = re.findall(r"^location (.+?) \{(.*?)(?:^\}| \}$)", SITE, re.MULTILINE | re.DOTALL)


def with_includes(body: str) -> str:
    """Return the body of a location, each included file of ours in place of its line."""
    file = re.search(r"include /etc/sentiq/(\w+\.conf);", body)
    if not file:
        return body
    return with_includes(body.replace(file[0], (NGINX / file[1]).read_text("utf-8")))


@pytest.mark.parametrize(("name", "body"), LOCATIONS, ids=[name for name, _ in LOCATIONS])
def test_a_location_that_adds_headers_adds_hsts_too(name: str, body: str) -> None:
    """A location with an `add_header` of its own inherits none."""
    added = re.findall(r"add_header (\S+)", with_includes(body))
    assert not added or "Strict-Transport-Security" in added, name


def test_the_site_adds_hsts_where_a_location_adds_nothing() -> None:
    assert "Strict-Transport-Security" in with_includes(SITE.split("location")[0])


@pytest.mark.parametrize(("name", "body"), LOCATIONS, ids=[name for name, _ in LOCATIONS])
def test_a_location_with_a_limit_of_its_own_keeps_the_common_one(name: str, body: str) -> None:
    """A location with a `limit_req` of its own inherits none."""
    limits = re.findall(r"limit_req zone=(\w+)", with_includes(body))
    assert not limits or "callers" in limits, name


def test_a_problem_document_has_the_status_of_its_response() -> None:
    """Without `=`, nginx keeps the status of the cause, whatever the named location returns."""
    pages = re.findall(r"^error_page ([\d ]+?)(?: =(\d+))? @(\d+);", SITE, re.MULTILINE)
    assert len(pages) >= 3
    for causes, status, named in pages:
        assert {status} == {named} if status else set(causes.split()) == {named}


def start(script: str, **variables: str) -> str:
    """Run a start script of a container; return what it says before it fails outside a container."""
    env = {"PATH": os.environ["PATH"]} | variables
    done = subprocess.run(
        ["/bin/sh", ROOT / "deploy" / script], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    return done.stderr


ANY = "0.0.0.0"  # noqa: S104 - refused


@pytest.mark.parametrize("bind", [ANY, "::", "192.168.1.4", "example.org", "1270.0.0.1"])
def test_without_keys_nginx_serves_this_machine_only(bind: str) -> None:
    refusal = f"BIND={bind} lets other machines connect"
    assert refusal in start("nginx/start.sh", BIND=bind)
    assert refusal in start("nginx/start.sh", BIND=bind, AUTH="none")
    assert refusal not in start("nginx/start.sh", BIND=bind, AUTH="keys")


@pytest.mark.parametrize("bind", ["", "127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_this_machine_needs_no_keys(bind: str) -> None:
    assert "BIND=" not in start("nginx/start.sh", BIND=bind, AUTH="none")
