"""`python -m tasks models`: the registry of models in the Redis that REDIS_URL names.

`retire NAME` refuses new jobs of a model, waits until those that it has are done, and removes it. It may be
interrupted and given again. Stop the workers of that model when it has ended.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tasks.console import replace_unencodable
from tasks.errors import ConfigurationError, StoreUnavailableError
from tasks.settings import Settings
from tasks.store import audit, models
from tasks.store.connection import require_one_redis
from tasks.store.jobs import JobStore
from tasks.store.workers import live_workers

_POLL_S = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    replace_unencodable()
    options = _options().parse_args(arguments)
    try:
        store = JobStore.connect(Settings.read())
        require_one_redis(store.redis)
        return _list(store) if options.command == "list" else _retire(store, options.name)
    except StoreUnavailableError as error:
        print(f"tasks: Redis does not answer: {error}", file=sys.stderr)
    except ConfigurationError as error:
        print(f"tasks: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("tasks: the model takes no new jobs, and is removed when it has none left", file=sys.stderr)
    return 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks", description=__doc__)
    subjects = parser.add_subparsers(dest="subject", required=True, metavar="models")
    commands = subjects.add_parser("models", help="the registry of models").add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    commands.add_parser("list", help="show all models, with the number of their live workers")
    retire = commands.add_parser("retire", help="refuse new jobs of a model, wait for the others, remove it")
    retire.add_argument("name", help="the name of the model, as `list` shows it")
    return parser


def _list(store: JobStore) -> int:
    serving = [worker.serves for worker in live_workers(store)]
    for name, model in models.registered(store).items():
        state = "retiring" if model.retiring else "open"
        pack = f"{model.pack.get('id', '')}@{model.pack.get('revision', '')}"
        print(f"{name}  {state}  {serving.count(name)} workers  {pack}")
    return 0


def _retire(store: JobStore, name: str) -> int:
    left = models.retire(store, name)
    if left is None:
        print(f"tasks: no model has the name {name}; `list` shows them", file=sys.stderr)
        return 1
    audit.append(store.redis, "retire model", "", name)
    while left and left != (0, 0):
        print(f"{name} takes no new jobs; {left[0]} items and {left[1]} open uploads are left", flush=True)
        time.sleep(_POLL_S)
        left = models.retire(store, name)
    print(f"{name} is removed: stop its workers, since one that starts anew registers it again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
