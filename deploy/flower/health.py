"""`python -m deploy.flower.health`: the probe of Flower. It has no login, so 401 is healthy too."""

from __future__ import annotations

import sys
from http.client import HTTPConnection, HTTPException


def main() -> int:
    """Return 0 if Flower answers, else 1."""
    try:
        connection = HTTPConnection("127.0.0.1", 5555, timeout=4)
        connection.request("GET", "/flower/")
        return 0 if connection.getresponse().status in (200, 401) else 1
    except (OSError, HTTPException):
        return 1


if __name__ == "__main__":
    sys.exit(main())
