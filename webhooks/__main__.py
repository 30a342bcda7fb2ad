"""`python -m webhooks` sends until told to stop; `secret` prints the signing secrets, `check` is a probe."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import sys

from tasks.errors import SentiqError
from tasks.settings import Settings
from tasks.store.deliveries import is_alive
from tasks.store.jobs import JobStore
from webhooks.secret import signing_secrets
from webhooks.sender import Sender

# Nobody waits for the sender: it may ask Redis again for longer than a restart of it takes.
_PATIENCE = 5


def main() -> int:
    """Return 0 after a stop, 1 when the settings cannot be read or Redis does not answer a question."""
    parser = argparse.ArgumentParser(prog="webhooks", description="Sends the webhooks of jobs that are over.")
    parser.add_argument("action", nargs="?", choices=["send", "secret", "check"], default="send")
    action = parser.parse_args().action
    try:
        settings = Settings.read()
        logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(message)s")
        store = JobStore.connect(settings, patience=_PATIENCE)
        if action == "secret":
            print("\n".join(signing_secrets(store)))
        elif action == "check":
            return _check(store)
        else:
            asyncio.run(Sender(store).run())
    except SentiqError as error:
        print(f"webhooks: {error}", file=sys.stderr)
        return 1
    return 0


def _check(store: JobStore) -> int:
    """0 when the sender of this host took what was due lately."""
    if is_alive(store, socket.gethostname()):
        return 0
    print("webhooks: the sender does not report", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
