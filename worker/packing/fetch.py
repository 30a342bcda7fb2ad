"""Fetch the files of an origin."""

from __future__ import annotations

import logging
from pathlib import Path

from worker.packing.origin import Origin

logger = logging.getLogger(__name__)


def fetch(origin: Origin) -> Path:
    """Return the directory of an origin, downloaded first if it is on ModelScope. Raises PackError."""
    if origin.directory:
        return origin.directory
    # Imported here: ModelScope's client is installed only where packs are made.
    from worker.packing.modelscope import download  # noqa: PLC0415

    logger.info("downloading %s at %s from ModelScope", origin.id, origin.revision)
    return download(origin.id, origin.revision)
