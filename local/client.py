"""What a client of the HTTP API does, as small as it gets: submit texts, follow the job, read the results."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx2

_PAGE = 1000
_LONGEST_WAIT_S = 30


class Client:
    """A caller of one Sentiq; not shared between threads."""

    def __init__(self, url: str, key: str | None = None) -> None:
        """Without a key it reaches what runs with AUTH=none."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.Client(
            base_url=url, headers=headers, timeout=_LONGEST_WAIT_S + 10, trust_env=False
        )

    def __enter__(self) -> Self:
        """Open the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close its connections."""
        self._http.__exit__(kind, error, traceback)

    def ready(self) -> bool:
        """Whether the API is up and reaches Redis."""
        try:
            return self._http.get("/readyz", timeout=3).is_success
        except httpx2.TransportError:
            return False

    def info(self) -> dict[str, Any]:
        """What the service says of its model and its limits."""
        return self._json(self._http.get("/v1/info"))

    def queue(self) -> dict[str, Any]:
        """What waits, and who works on it."""
        return self._json(self._http.get("/v1/queue"))

    def submit(self, texts: Sequence[str]) -> dict[str, Any]:
        """Send texts as one job."""
        return self._json(self._http.post("/v1/jobs", json={"items": [{"text": text} for text in texts]}))

    def job(self, job_id: str, wait_s: int = 0) -> dict[str, Any]:
        """The job's state, once it has finished or `wait_s` (30 at most) are over."""
        headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
        return self._json(self._http.get(f"/v1/jobs/{job_id}", headers=headers))

    def results(self, job_id: str) -> list[dict[str, Any]]:
        """All results of a finished job, page after page."""
        found: list[dict[str, Any]] = []
        params: dict[str, str | int] = {"limit": _PAGE}
        while True:
            page = self._json(self._http.get(f"/v1/jobs/{job_id}/results", params=params))
            found += page["data"]
            if not page["next_cursor"]:
                return found
            params["cursor"] = page["next_cursor"]

    @staticmethod
    def _json(response: httpx2.Response) -> dict[str, Any]:
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body
