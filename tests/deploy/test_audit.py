"""The audit of versions: the advisories of the file, a real OSV over HTTP, and none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from deploy.audit import Part, advised, parts
from deploy.images import base_images, digests, variable_of
from local.ports import free_port
from local.processes import ROOT


def advisory(*events: dict[str, str], name: str = "thing", versions: tuple[str, ...] = ()) -> dict[str, Any]:
    package = {"ecosystem": "PyPI", "name": name}
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    return {"id": "X-1", "affected": [{"package": package, "ranges": ranges, "versions": list(versions)}]}


@contextmanager
def osv(vulnerable: str) -> Iterator[str]:
    """Answer as OSV does, with an advisory for one package; give the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
            hit = {"vulns": [{"id": "GHSA-1"}]}
            results = [hit if query["package"]["name"] == vulnerable else {} for query in queries]
            self.send_response(200 if self.path == "/v1/querybatch" else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"results": results}).encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audit(url: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.audit", "--osv", url, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("events", "version", "affected"),
    [
        ([{"introduced": "0"}], "9", True),
        ([{"introduced": "0"}, {"fixed": "2"}], "1.9", True),
        ([{"introduced": "0"}, {"fixed": "2"}], "2", False),
        ([{"introduced": "1"}, {"last_affected": "2"}], "2", True),
        ([{"introduced": "1"}, {"last_affected": "2"}], "2.1", False),
        ([{"introduced": "1"}, {"fixed": "2"}, {"introduced": "3"}, {"fixed": "3.10"}], "3.9", True),
        ([{"introduced": "1"}, {"fixed": "2"}, {"introduced": "3"}, {"fixed": "3.10"}], "2.5", False),
        ([{"introduced": "1"}], "0.9", False),
    ],
)
def test_a_version_is_compared_with_the_ranges(
    events: list[dict[str, str]], version: str, *, affected: bool
) -> None:
    assert bool(advised([Part("PyPI", "thing", version)], [advisory(*events)])) == affected


def test_a_version_may_be_listed_and_a_name_must_match() -> None:
    part = Part("PyPI", "thing", "1.0")
    assert advised([part], [advisory(versions=("1.0",))]) == [(part, "X-1")]
    assert advised([part], [advisory({"introduced": "0"}, name="other")]) == []


def test_every_lock_file_and_every_image_is_compared() -> None:
    found = parts()
    assert {"flask", "torch", "gunicorn", "tornado", "openvino"} <= {part.name for part in found}
    servers = {part.name: part.version for part in found if part.ecosystem == "Bitnami"}
    assert set(servers) == {"python", "nginx", "redis", "prometheus", "grafana"}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in servers.values())


def test_no_version_has_an_advisory_of_the_file_and_without_osv_the_rest_is_skipped() -> None:
    done = audit(f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout.startswith("skipped: make audit, OSV does not answer")
    assert done.stdout.count("\n") == 1


def test_an_advisory_of_osv_fails_the_audit_by_name() -> None:
    with osv("flask") as url:
        done = audit(url)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^flask \d\S+: GHSA-1$", done.stdout, re.MULTILINE)
    with osv("nothing of ours") as url:
        assert audit(url).returncode == 0


def test_an_advisory_of_a_file_fails_the_audit_even_without_osv(tmp_path: Path) -> None:
    file = tmp_path / "advisories.json"
    file.write_text(json.dumps([advisory({"introduced": "0"}, name="celery")]), "utf-8")
    done = audit(f"http://127.0.0.1:{free_port()}", "--advisories", file)
    assert done.returncode == 1
    assert re.search(r"^celery \d\S+: X-1$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("redis", "7.2.7"),
        ("redis", "7.2.10"),
        ("nginx", "1.28.0"),
        ("nginx", "1.30.1"),
        ("grafana", "12.1.0"),
    ],
)
def test_the_file_knows_the_servers_that_were_replaced(name: str, version: str) -> None:
    file = json.loads((ROOT / "deploy" / "advisories.json").read_bytes())
    assert advised([Part("Bitnami", name, version)], file)


def test_a_digest_reaches_every_place_that_names_an_image() -> None:
    names = {variable_of(image) for image in base_images()}
    compose = (ROOT / "docker-compose.yml").read_text("utf-8")
    assert {name for name in names if f"${{{name}:-}}" not in compose} == set()
    for dockerfile in ROOT.glob("Dockerfile.*"):
        bases = re.findall(r"^FROM (\S+)", dockerfile.read_text("utf-8"), re.MULTILINE)
        assert all(re.fullmatch(r"\w+:\$\{\w+\}\$\{\w+_DIGEST\}", base) for base in bases), dockerfile


def test_the_file_of_digests_has_digests_of_known_images(tmp_path: Path) -> None:
    assert set(digests()) <= {variable_of(image) for image in base_images()}
    file = tmp_path / "images.lock"
    file.write_text("# a comment\nREDIS_DIGEST=@sha256:1\n", "utf-8")
    assert digests(file) == {"REDIS_DIGEST": "@sha256:1"}


def test_kubernetes_runs_the_redis_of_compose() -> None:
    objects = yaml.safe_load_all((ROOT / "deploy/k8s/overlays/single/redis.yaml").read_text("utf-8"))
    pod = next(each for each in objects if each["kind"] == "StatefulSet")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] in base_images()
