"""Flower's own settings."""

import os
import secrets
import sys

# No login of everybody's: without one of yours, one is made that only this start and its log know.
_login = os.environ.get("FLOWER_LOGIN")
if not _login:
    _login = f"sentiq:{secrets.token_urlsafe(12)}"
    print(f"flower: log in as {_login}", file=sys.stderr)

basic_auth = [_login]
url_prefix = "flower"
# Neither its page nor its API can stop a worker or revoke a task; nginx lets nothing through that could.
read_only = True
persistent = True
db = "/data/flower"
state_save_interval = 30_000
max_tasks = 10_000
# Workers are containers: each start is a new name.
purge_offline_workers = 300
