"""A client of the stack that all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sentiq import Sentiq


@pytest.fixture
def client(live_url: str) -> Iterator[Sentiq]:
    with Sentiq(live_url, retry_for=30) as made:
        yield made
