"""The settings of Flower."""

from __future__ import annotations

import os
import secrets
import sys
from logging import CRITICAL, getLogger

# There is no default password: without FLOWER_LOGIN, each start generates one and logs it.
_login = os.environ.get("FLOWER_LOGIN")
if not _login:
    _login = f"sentiq:{secrets.token_urlsafe(12)}"
    print(f"flower: log in as {_login}", file=sys.stderr)

basic_auth = [_login]
url_prefix = "flower"
# The page and the API can neither stop a worker nor revoke a task; nginx blocks such requests too.
read_only = True
persistent = True
db = "/data/flower"
state_save_interval = 30_000
# Flower's user of Redis cannot publish, so it cannot control workers. Workers send their events unasked.
# The page of a single worker consists of answers to control messages, so it is not available.
enable_events = False
getLogger("flower.inspector").setLevel(CRITICAL)
max_tasks = 10_000
# A worker in a container has a new name after each start.
purge_offline_workers = 300
