"""The one user of docs/redis.md: all programs do all their work as it, and it reaches nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from local.ports import free_port
from local.processes import ROOT, Group
from tests.conftest import started_stack
from tests.deploy.test_redis_users import use_everything
from tests.servers.deployment import answered, run_server

SECRET = "secret-of-sentiq"  # noqa: S105  of this test
_DOCUMENTED = re.compile(r"^user sentiq .*$", re.MULTILINE)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[int]:
    """Run a server whose users are an administrator and the documented one; give its port."""
    documented = _DOCUMENTED.findall((ROOT / "docs" / "redis.md").read_text("utf-8"))
    assert len(documented) == 1
    file, port = tmp_path / "users.acl", free_port()
    file.write_text(f"user default on nopass ~* &* +@all\n{documented[0].replace('PASSWORD', SECRET)}\n")
    with Group() as group:
        process = run_server(group, "--port", str(port), "--bind", "127.0.0.1", "--aclfile", str(file))
        answered(redis.Redis(port=port), process)
        yield port


@pytest.mark.timeout(240)
def test_all_programs_can_work_as_one_user(server: int, tmp_path: Path) -> None:
    url = f"redis://sentiq:{SECRET}@127.0.0.1:{server}/0"
    settings = {"SENTIMENT_CONCURRENCY": "1", "SENTIMENT_WEBHOOK_ALLOW": "127.0.0.1"}
    with started_stack(tmp_path, redis_url=url, **settings) as stack:
        stack.start_flower(free_port())
        use_everything(stack.url)
        stack.check()
    administrator: Any = redis.Redis(port=server)
    # Clients name themselves where they may; in Redis 6.2 all of CLIENT is one permission.
    assert {entry["object"] for entry in administrator.acl_log()} <= {"client"}


@pytest.mark.parametrize("command", ["GET theirs", "CONFIG GET *", "FLUSHALL", "KEYS *", "PUBLISH theirs x"])
def test_it_reaches_nothing_else(command: str, server: int) -> None:
    with (
        redis.Redis(port=server, username="sentiq", password=SECRET) as ours,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        ours.execute_command(*command.split())
