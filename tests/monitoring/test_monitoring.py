"""Rules, dashboard and runbook with a real Prometheus and a real stack. Needs Debian's `prometheus`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import yaml
from sentiq import Sentiq

from local.ports import free_port
from local.processes import Group
from local.stack import Stack
from tests.conftest import eventually, started_stack

ROOT = Path(__file__).parent.parent.parent
PROMETHEUS = ROOT / "deploy" / "prometheus"
GROUPS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text("utf-8"))["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
CASES = ("tests/monitoring/alerts.test.yml", "tests/monitoring/drift.test.yml")
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/sentiq.json").read_text("utf-8"))
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
CONFIG = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))


def expressions() -> Iterator[str]:
    for rule in RULES:
        yield rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "1m")


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with started_stack(folder, SENTIMENT_METRICS_BY_KEY="true") as stack, Sentiq(stack.url) as client:
        many = [[f"{seed}，第{i}次都很好" for i in range(900)] for seed in range(3)]
        jobs = [client.submit(texts) for texts in (["很好"], *many)]
        for job in jobs:
            job.wait(timeout=100)
        yield stack


@pytest.fixture(scope="module")
def prometheus(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """Run a Prometheus with our configuration, except for its targets and its interval of 1 s."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    shutil.copy(PROMETHEUS / "alerts.yml", folder)
    api, own = CONFIG["scrape_configs"]
    del api["dns_sd_configs"]
    api["static_configs"] = [{"targets": [stack.url.removeprefix("http://")]}]
    own["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    CONFIG["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    api["scrape_timeout"] = "1s"
    (folder / "prometheus.yml").write_text(yaml.safe_dump(CONFIG), "utf-8")
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    options.append("--log.level=error")
    with Group() as group, httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        group.popen(["prometheus", *options, f"--web.listen-address=127.0.0.1:{port}"], env=None)
        eventually(lambda: answers(client), within_s=60)
        yield client


def answers(client: httpx2.Client) -> bool:
    try:
        if client.get("/-/ready").is_error:
            return False
        return len(query(client, 'up == 1 and on (job) up{job=~"sentiq-api|prometheus"}')) == 2
    except httpx2.TransportError:
        return False


def query(client: httpx2.Client, expression: str) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", (expression, answer)
    samples: list[dict[str, Any]] = answer["data"]["result"]
    return samples


def test_each_rule_fires_in_its_case_and_is_silent_otherwise() -> None:
    done = promtool("test", "rules", *CASES)
    assert done.returncode == 0, done.stdout + done.stderr
    tested = "".join((ROOT / path).read_text("utf-8") for path in CASES)
    for rule in RULES:
        assert f"name: {rule['alert']} fires" in tested
        assert f"name: {rule['alert']} is silent" in tested


def test_the_configuration_is_valid() -> None:
    done = promtool("check", "config", "deploy/prometheus/prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_the_runbook_has_a_heading_where_each_alert_points_to(rule: dict[str, Any]) -> None:
    anchor = rule["annotations"]["runbook_url"].removeprefix("docs/runbook.md#")
    headings = re.findall(r"^## (\S+)$", RUNBOOK, re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}
    assert rule["alert"] in headings


def test_every_metric_that_is_named_is_exposed_and_the_other_way_round(stack: Stack) -> None:
    text = httpx2.get(f"{stack.url}/metrics").text
    exposed = set(re.findall(r"^(sentiq_\w+)", text, re.MULTILINE))
    named = {name for expression in expressions() for name in re.findall(r"sentiq_\w+", expression)}
    assert named <= exposed, "an alert on a metric that does not exist never fires"
    bare = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in exposed}
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    assert bare == set(re.findall(r"`(sentiq_\w+)`", page))
    assert bare == {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in named}


def test_metrics_by_key_are_there_only_with_their_setting_and_named_as_such(
    live: Stack, stack: Stack
) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    table = page.partition("| metric with this setting |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(sentiq_\w+)`", table))
    assert named
    exposed = set(re.findall(r"^(sentiq_key_\w+)", httpx2.get(f"{stack.url}/metrics").text, re.MULTILINE))
    assert exposed == named
    assert "sentiq_key_" not in httpx2.get(f"{live.url}/metrics").text


def test_prometheus_accepts_every_expression_and_no_alert_fires_on_a_healthy_stack(
    prometheus: httpx2.Client,
) -> None:
    eventually(lambda: query(prometheus, "sentiq_ready > 0"))
    for expression in expressions():
        query(prometheus, expression)
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
    assert not query(prometheus, 'ALERTS{alertstate="firing"}')


def test_every_panel_with_a_single_value_has_one(prometheus: httpx2.Client) -> None:
    stats = [panel for panel in DASHBOARD["panels"] if panel["type"] == "stat"]
    assert len(stats) >= 6
    for panel in stats:
        for target in panel["targets"]:
            assert query(prometheus, target["expr"]), panel["title"]


COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", RUNBOOK, re.DOTALL) for line in block.strip().split("\n")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_runbook_works(stack: Stack, command: str) -> None:
    parts = urlsplit(stack.redis_url)
    redis = {"REDIS": f"-p {parts.port}", "REDISCLI_AUTH": parts.password or ""}
    # `model` is set by the first of the commands that read it.
    variables = {"API": stack.url, "REDIS_URL": stack.redis_url, "model": "sentiq-zh-small", **redis}
    python = f'python() {{ "{sys.executable}" "$@"; }}; set -euo pipefail; '
    done = subprocess.run(
        ["bash", "-c", python + command],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ERR" not in done.stdout
