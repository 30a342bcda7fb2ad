"""`python -m deploy.flower.health`: 0 when Flower answers; it asks for a login, and 401 is an answer."""

import sys
from http.client import HTTPConnection, HTTPException


def main() -> int:
    """Ask once."""
    try:
        connection = HTTPConnection("127.0.0.1", 5555, timeout=4)
        connection.request("GET", "/flower/")
        return 0 if connection.getresponse().status in (200, 401) else 1
    except (OSError, HTTPException):
        return 1


if __name__ == "__main__":
    sys.exit(main())
