"""`python -m webhooks` sends until SIGTERM; `secret [KEY_ID]` prints signing secrets, `check` is a probe."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import re
import socket
import sys
from typing import NoReturn

from tasks.console import replace_unencodable
from tasks.errors import SentiqError
from tasks.log_format import start_logging
from tasks.settings import Settings
from tasks.store.connection import connect, require_one_redis
from tasks.store.deliveries import is_alive
from tasks.store.jobs import JobStore
from tasks.tracing import trace
from webhooks.secret import signing_secrets
from webhooks.sender import Sender

# No client waits for the sender, so it retries a command for longer than a restart of Redis takes.
_PATIENCE = 5


def main() -> int:
    """Run the action; return 0, or 1 if a setting is invalid, Redis does not answer or the check fails."""
    parser = argparse.ArgumentParser(prog="webhooks", description="Sends the webhooks of finished jobs.")
    parser.add_argument(
        "action",
        nargs="?",
        choices=["send", "secret", "check"],
        default="send",
        help="send webhooks until SIGTERM; print the signing secrets; check that this host's sender works",
    )
    parser.add_argument(
        "key_id",
        nargs="?",
        type=_key_id,
        default="",
        help="with `secret`: the API key whose jobs are signed; without one, jobs made while AUTH=none",
    )
    replace_unencodable()
    options = parser.parse_args()
    action = options.action
    if options.key_id and action != "secret":
        parser.error(f"`{action}` takes no key id")
    try:
        settings = Settings.read()
        start_logging(settings.log_level)
        store = JobStore.connect(settings, patience=_PATIENCE)
        if action == "secret":
            print("\n".join(signing_secrets(store, options.key_id)))
        elif action == "check":
            return _check(store)
        else:
            _send(store)
    except SentiqError as error:
        print(f"webhooks: {error}", file=sys.stderr)
        return 1
    return 0


def _send(store: JobStore) -> NoReturn:
    """Send until SIGTERM, then end this process: a thread that waits for Redis cannot be interrupted."""
    require_one_redis(connect(store.settings))
    trace.start("webhooks", store.settings)
    asyncio.new_event_loop().run_until_complete(Sender(store).run())
    trace.stop()
    logging.shutdown()
    os._exit(os.EX_OK)


def _key_id(text: str) -> str:
    """Return the text; raise ValueError, which argparse explains, unless it can be the id of an API key."""
    if text and not re.fullmatch("[0-9a-f]{8}", text):
        raise ValueError(text)
    return text


def _check(store: JobStore) -> int:
    """Return 0 if the sender of this host wrote a heartbeat within the last 15 s, else 1."""
    if is_alive(store, socket.gethostname()):
        return 0
    print("webhooks: the sender of this host writes no heartbeat", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
