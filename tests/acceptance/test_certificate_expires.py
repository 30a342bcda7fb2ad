"""The certificate of Redis expires while the service runs: that is said, and a new one ends the outage."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
import trustme

from local.processes import Group
from local.redis_server import start_redis
from tests.acceptance.test_tls import PASSWORD, TlsListener
from tests.conftest import eventually, started_stack

VALID_S = 10
SAID = "certificate has expired"


@pytest.mark.timeout(300)
def test_an_expired_certificate_is_named_and_a_new_one_ends_the_outage(tmp_path: Path) -> None:
    """Open connections go on; what connects anew is refused, and no program ends or falls silent for it."""
    authority = trustme.CA()
    authority_file, log = tmp_path / "authority.pem", tmp_path / "stack.log"
    authority.cert_pem.write_to_path(str(authority_file))
    with Group() as group:
        _, plain = start_redis(group, password=PASSWORD)
        listener = TlsListener(urlsplit(plain).port or 0, authority.issue_cert("localhost"))
        url = f"rediss://:{PASSWORD}@localhost:{listener.port}/0?ssl_ca_certs={authority_file}"
        try:
            with (
                started_stack(tmp_path, redis_url=url, SENTIMENT_CONCURRENCY="1") as stack,
                httpx2.Client(base_url=stack.url, timeout=60, trust_env=False) as http,
            ):
                expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=VALID_S)
                listener.present(authority.issue_cert("localhost", not_after=expires))
                listener.drop()
                eventually(lambda: predict(http).is_success)
                time.sleep(max(0, (expires - dt.datetime.now(dt.UTC)).total_seconds()) + 2)
                assert predict(http).is_success, "connections that are open go on"
                listener.drop()
                eventually(lambda: http.get("/readyz").status_code == 503)
                refused = http.post("/v1/jobs", json={"text": "好"})
                assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
                for role in ("api", "worker", "webhooks"):
                    eventually(lambda role=role: said_by(role, log), within_s=60)  # type: ignore[misc]
                stack.check()
                listener.present(authority.issue_cert("localhost"))
                eventually(lambda: http.get("/readyz").is_success)
                assert predict(http).json()["sentiment"] == "Positive"
                stack.check()
        finally:
            listener.stop()
    assert PASSWORD not in log.read_text("utf-8")


def predict(http: httpx2.Client) -> httpx2.Response:
    return http.post("/predict", json={"text": "服务很贴心"})


def said_by(role: str, log: Path) -> bool:
    lines = log.read_text("utf-8").splitlines()
    return any(SAID in line for line in lines if role in line.partition("│")[0])
