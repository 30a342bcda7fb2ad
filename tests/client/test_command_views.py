"""`sentiq jobs`, `show`, `cancel`, `models`, `info`, `queue`, `completion`, and which service they call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.ports import free_port
from tasks.settings import Settings
from tasks.store import models, pauses
from tasks.store.audit import Author
from tasks.store.jobs import JobStore
from tasks.vocabulary.pauses import PauseTarget
from tests.api.test_access import made, running_api
from tests.client.command import sentiq, started
from tests.client.proxy import Plan, proxied, response
from tests.conftest import MODEL_NAME


@pytest.fixture
def job(http: httpx2.Client) -> dict[str, Any]:
    body = {"items": [{"text": "服务很贴心"}, {"text": " "}], "metadata": {"批\u202e次": "7"}}
    return dict(http.post("/v1/jobs", json=body, headers={"prefer": "wait=30"}).json())


def test_jobs_are_listed_newest_first(job: dict[str, Any], live_url: str, tmp_path: Path) -> None:
    done = sentiq(tmp_path, live_url, "jobs", "--limit", "1")
    header, row = done.stdout.decode().splitlines()
    assert header.split() == ["job", "status", "texts", "model", "created"]
    assert row.startswith(f"{job['id']}  partial  2 of 2, 1 failed  sentiq-zh-small")
    listed = json.loads(sentiq(tmp_path, live_url, "jobs", "--limit", "1", "--json").stdout)
    assert [each["id"] for each in listed] == [job["id"]]
    assert json.loads(sentiq(tmp_path, live_url, "jobs", "--status", "running", "--json").stdout) == []
    assert sentiq(tmp_path, live_url, "jobs", "--limit", "0").returncode == 2


def test_a_job_is_shown_with_its_summary(job: dict[str, Any], live_url: str, tmp_path: Path) -> None:
    told = sentiq(tmp_path, live_url, "show", job["id"]).stdout.decode()
    for word in (job["id"], "partial", "2 of 2, 1 failed", "positive", "empty_text", "批�次"):
        assert word in told
    shown = json.loads(sentiq(tmp_path, live_url, "show", job["id"], "--json").stdout)
    assert (shown["id"], shown["summary"]["error_codes"]) == (job["id"], {"empty_text": 1})


def test_a_paused_job_is_shown_as_such(redis_url: str, tmp_path: Path) -> None:
    store = JobStore.connect(Settings(redis_url=redis_url))
    models.register(store, MODEL_NAME, {"input": "text", "labels": []})
    pauses.pause(store, PauseTarget.parse(f"model:{MODEL_NAME}"), Author("operator"))
    with running_api(redis_url, tmp_path / "api.log", AUTH="none") as url:
        job = httpx2.post(f"{url}/v1/jobs", json={"text": "好"}, timeout=60).json()["id"]
        listed = sentiq(tmp_path, url, "jobs").stdout.decode().splitlines()[1]
        assert listed.startswith(f"{job}  queued, paused  0 of 1  {MODEL_NAME}")
        shown = sentiq(tmp_path, url, "show", job).stdout.decode()
        assert f"by an operator: model {MODEL_NAME}, since " in shown
        assert f"paused: model {MODEL_NAME}" in sentiq(tmp_path, url, "queue").stdout.decode()


def test_a_job_is_canceled(http: httpx2.Client, live_url: str, tmp_path: Path) -> None:
    items = [{"text": f"第{n}次来，味道不错，分量也足，下次还来"} for n in range(1000)]
    jobs = [http.post("/v1/jobs", json={"items": items}).json()["id"] for _ in range(3)]
    canceled = json.loads(sentiq(tmp_path, live_url, "cancel", jobs[-1], "--json").stdout)
    assert canceled["status"] in ("canceled", "canceling")
    assert "cancel" in sentiq(tmp_path, live_url, "cancel", jobs[1]).stdout.decode()
    for job in jobs:
        http.post(f"/v1/jobs/{job}/cancel")


@pytest.mark.parametrize("command", ["show", "cancel"])
def test_an_unknown_job_is_an_error_of_the_service(command: str, live_url: str, tmp_path: Path) -> None:
    done = sentiq(tmp_path, live_url, command, "job_nobody")
    assert (done.returncode, b"job_not_found" in done.stderr) == (4, True), done.stderr


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("models", "sentiq-zh-small"),
        ("info", "max_upload_items"),
        ("queue", "bulk"),
    ],
)
def test_the_service_is_shown(
    command: str, word: str, http: httpx2.Client, live_url: str, tmp_path: Path
) -> None:
    assert word in sentiq(tmp_path, live_url, command).stdout.decode()
    body = json.loads(sentiq(tmp_path, live_url, command, "--json").stdout)
    wanted = http.get(f"/v1/{command}").json()
    assert (body if command != "models" else {"object": "list", "data": body}).keys() == wanted.keys()


def test_usage_is_shown_by_day_and_by_model(live_url: str, http: httpx2.Client, tmp_path: Path) -> None:
    http.post("/v1/jobs", json={"text": "服务很贴心"}, headers={"prefer": "wait=30"})
    by_model = json.loads(sentiq(tmp_path, live_url, "usage", "--by", "model", "--json").stdout)
    assert [each["model"] for each in by_model["data"]] == ["sentiq-zh-small"]
    told = sentiq(tmp_path, live_url, "usage").stdout.decode().splitlines()
    assert told[0].split() == ["day", "texts", "errors", "characters", "tokens", "model", "seconds"]
    assert told[-3].startswith(by_model["last"])
    assert int(told[-2].split()[1].replace(",", "")) >= by_model["total"]["items"] > 0
    wrong = sentiq(tmp_path, live_url, "usage", "--from", "yesterday")
    assert (wrong.returncode, b"from" in wrong.stderr) == (4, True), wrong.stderr


def test_usage_of_a_service_that_does_not_count_it_says_so(live_url: str, tmp_path: Path) -> None:
    gone = b'{"code": "not_found", "status": 404, "detail": "no such path"}'
    with proxied(live_url, Plan(answer=response("404 Not Found", gone))) as proxy:
        done = sentiq(tmp_path, proxy.url, "usage")
    assert (done.returncode, b"The service has no GET /v1/usage" in done.stderr) == (4, True), done.stderr


def test_a_wrong_key_is_told_with_what_to_do(redis_url: str, tmp_path: Path) -> None:
    key = made(redis_url, "read")
    with running_api(redis_url, tmp_path / "api.log") as url:
        (tmp_path / "in.csv").write_text("text\n好\n", encoding="utf-8")
        for arguments in (["queue"], ["score", "in.csv"]):
            done = sentiq(tmp_path, url, *arguments, SENTIQ_API_KEY=f"{key}x")
            assert (done.returncode, b"Set SENTIQ_API_KEY" in done.stderr) == (4, True), done.stderr
        assert sentiq(tmp_path, url, "queue", SENTIQ_API_KEY=key).returncode == 0
        done = sentiq(tmp_path, url, "score", "in.csv", SENTIQ_API_KEY=key)
        assert (done.returncode, b"scopes submit, read and cancel" in done.stderr) == (4, True), done.stderr
        assert key.encode() not in done.stderr


def test_a_reader_that_leaves_ends_the_command_quietly(live_url: str, tmp_path: Path) -> None:
    process = started(tmp_path, live_url, "info", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (0, b"")


def test_the_shell_completes_subcommands(tmp_path: Path) -> None:
    done = sentiq(tmp_path, "", "completion", "bash")
    script = tmp_path / "complete.bash"
    script.write_bytes(done.stdout)
    check = f"source {script}; COMP_WORDS=(sentiq sc); COMP_CWORD=1; _shtab_sentiq; echo ${{COMPREPLY[@]}}"
    found = subprocess.run(["/bin/bash", "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["score"]


def test_the_library_loads_neither_the_command_nor_its_packages() -> None:
    code = (
        "import sentiq, sys; print([name for name in sys.modules if name.split('.')[0] in ('rich', 'shtab')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- which service


def profile(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / ".config" / "sentiq" / "profile.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_profile_names_the_service(live_url: str, tmp_path: Path) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    profile(tmp_path, f'[default]\nurl = "{live_url}"\nkey = "k"\n[down]\nurl = "{down}"\n')
    assert live_url in sentiq(tmp_path, "", "info").stdout.decode()
    assert live_url in sentiq(tmp_path, down, "info", "--profile", "default").stdout.decode()
    assert sentiq(tmp_path, live_url, "info", "--profile", "down").returncode == 4
    assert live_url in sentiq(tmp_path, down, "info", "--url", live_url).stdout.decode()


REFUSED = {
    "a profile that is not there": (
        '[default]\nurl = "x"',
        0o600,
        ["--profile", "prod"],
        "has no profile [prod]",
    ),
    "a key that others can read": ('[default]\nkey = "k"', 0o644, [], "chmod 600"),
    "no TOML": ("[default", 0o600, [], "is no TOML"),
    "another field": ('[default]\ntoken = "k"', 0o600, [], "a url and a key"),
    "a number as the url": ("[default]\nurl = 5", 0o600, [], "a url and a key"),
    "no URL": ('[default]\nurl = "example.com"', 0o600, [], "http"),
    "two services": (
        '[default]\nurl = "x"',
        0o600,
        ["--profile", "default", "--url", "http://x"],
        "both name",
    ),
}


@pytest.mark.parametrize(("text", "mode", "arguments", "told"), REFUSED.values(), ids=REFUSED)
def test_a_profile_that_cannot_be_used_is_refused(
    text: str, mode: int, arguments: list[str], told: str, tmp_path: Path
) -> None:
    profile(tmp_path, text, mode)
    done = sentiq(tmp_path, "", "info", *arguments)
    assert (done.returncode, told in done.stderr.decode()) == (2, True), done.stderr


def test_a_key_goes_only_to_the_service_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentiq.command.profile import Access, access  # noqa: PLC0415  reads the environment

    for name in ("SENTIQ_URL", "SENTIQ_API_KEY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert access(None, None) == Access("http://localhost:8000", None)
    profile(tmp_path, '[default]\nurl = "https://a"\nkey = "of a"')
    assert access(None, None) == Access("https://a", "of a")
    assert access("https://b", None) == Access("https://b", None)
    monkeypatch.setenv("SENTIQ_URL", "https://c")
    assert access(None, None) == Access("https://c", None)
    monkeypatch.setenv("SENTIQ_API_KEY", "of c")
    assert access(None, None) == Access("https://c", "of c")
    assert access(None, "default") == Access("https://a", "of a")
    assert access("https://b", None) == Access("https://b", None)
    assert access("https://c/", None) == Access("https://c/", "of c")
    assert access("http://[::1", None) == Access("http://[::1", None)


def test_a_profile_without_a_key_gets_none_of_the_environment(live_url: str, tmp_path: Path) -> None:
    with proxied(live_url) as proxy:
        profile(tmp_path, f'[default]\nurl = "{proxy.url}"\n')
        done = sentiq(tmp_path, "", "info", "--profile", "default", SENTIQ_API_KEY="of_another")
        assert done.returncode == 0, done.stderr
        assert [b"of_another" in bytes(each) for each in proxy.received] == [False]


def test_a_defect_has_an_exit_code_of_its_own(live_url: str, tmp_path: Path) -> None:
    with proxied(live_url, Plan(answer=response("200 OK", b"{}"))) as proxy:
        done = sentiq(tmp_path, proxy.url, "queue")
    assert (done.returncode, b"Traceback" in done.stderr) == (70, True), done.stderr
