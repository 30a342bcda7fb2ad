"""Models on ModelScope: fetched whole before anything is read, and resumed when a fetch was cut off."""

from pathlib import Path

import requests

from worker.packing.origin import FILES
from worker.packs.pack import PackError

try:
    from modelscope import snapshot_download
    from modelscope_hub.errors import FileDownloadError, HubError
except ImportError as error:
    raise PackError(f"fetching from ModelScope needs {error.name}: make .venv/.models") from error


def download(model_id: str, revision: str) -> Path:
    """The directory of the model's files, under MODELSCOPE_CACHE. Raises PackError naming the cause."""
    try:
        return Path(snapshot_download(model_id, revision=revision, allow_patterns=list(FILES)))
    except FileDownloadError as error:
        name, cause = next(iter(error.failed_files.items()))
        raise PackError(
            f"{model_id} at {revision}: {name} did not come from ModelScope whole ({_cause(cause)}); "
            "what came is kept, and the next start goes on from there"
        ) from error
    except (HubError, requests.RequestException, OSError) as error:
        raise PackError(f"{model_id} at {revision}: ModelScope does not give it ({_cause(error)})") from error


def _cause(error: BaseException) -> str:
    """What the client says happened, and what happened at the bottom of it, on one line."""
    root = error
    while (under := root.__cause__ or root.__context__) is not None:
        root = under
    said, bottom = (str(one).partition("\n")[0] for one in (error, root))
    return said if bottom == said else f"{said.partition(': ')[0]}: {bottom}"
