"""Download a model from ModelScope. Apart from `origin` because it needs ModelScope's client."""

from __future__ import annotations

from pathlib import Path

import requests

from worker.packing.origin import FILES
from worker.packs.pack import PackError

try:
    from modelscope import snapshot_download
    from modelscope_hub.errors import FileDownloadError, HubError
except ImportError as error:
    raise PackError(f"downloading from ModelScope needs {error.name}: make .venv/.models") from error


def download(model_id: str, revision: str) -> Path:
    """Return the directory of the model's files, under MODELSCOPE_CACHE, once every file is complete.

    A download that was cut off is resumed. Raises PackError.
    """
    try:
        return Path(snapshot_download(model_id, revision=revision, allow_patterns=list(FILES)))
    except FileDownloadError as error:
        name, cause = next(iter(error.failed_files.items()))
        raise PackError(
            f"{model_id} at {revision}: {name} cannot be downloaded from ModelScope ({_cause(cause)}); "
            "the next start resumes it"
        ) from error
    except (HubError, requests.RequestException, OSError) as error:
        message = f"{model_id} at {revision}: cannot be downloaded from ModelScope ({_cause(error)})"
        raise PackError(message) from error


def _cause(error: BaseException) -> str:
    """Return the client's message and the message of the root cause, on one line."""
    root = error
    while (inner := root.__cause__ or root.__context__) is not None:
        root = inner
    outer_message, root_message = (str(one).partition("\n")[0] for one in (error, root))
    if outer_message == root_message:
        return outer_message
    return f"{outer_message.partition(': ')[0]}: {root_message}"
