"""A minimal client of the HTTP API: submit texts, follow the job, read the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import httpx2

_PAGE_ITEMS = 1000
_MAX_WAIT_S = 30


class Client:
    """A client of one Sentiq service; one thread uses it at a time."""

    def __init__(self, url: str, key: str | None = None) -> None:
        """Send `key` with every request; a service with AUTH=none needs none."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=_MAX_WAIT_S + 10, trust_env=False)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self._http.__exit__(kind, error, traceback)

    def ready(self) -> bool:
        """Return whether the API is up and reaches Redis."""
        try:
            return self._http.get("/readyz", timeout=3).is_success
        except httpx2.TransportError:
            return False

    def info(self) -> dict[str, Any]:
        """Return the model and the limits of the service."""
        return self._json(self._http.get("/v1/info"))

    def models(self) -> list[dict[str, Any]]:
        """Return the models that take jobs, the default one first."""
        models = self._json(self._http.get("/v1/models"))["data"]
        return sorted((each for each in models if not each["retiring"]), key=lambda each: not each["default"])

    def queue(self) -> dict[str, Any]:
        """Return the backlog and the number of workers."""
        return self._json(self._http.get("/v1/queue"))

    def submit(self, texts: Sequence[str], **terms: Any) -> dict[str, Any]:
        """Submit texts as one job with these terms and return it."""
        body = {"items": [{"text": text} for text in texts]} | terms
        return self._json(self._http.post("/v1/jobs", json=body))

    def job(self, job_id: str, wait_s: int = 0) -> dict[str, Any]:
        """Return the job when it has finished, or as it is after `wait_s` seconds (at most 30)."""
        headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
        return self._json(self._http.get(f"/v1/jobs/{job_id}", headers=headers))

    def results(self, job_id: str) -> list[dict[str, Any]]:
        """Return all results of a finished job, in the order of its items."""
        return list(self.items(job_id))

    def items(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Yield the results of a finished job, in the order of its items, with one page in memory."""
        params: dict[str, str | int] = {"limit": _PAGE_ITEMS}
        while True:
            page = self._json(self._http.get(f"/v1/jobs/{job_id}/results", params=params))
            yield from page["data"]
            if not page["next_cursor"]:
                return
            params["cursor"] = page["next_cursor"]

    @staticmethod
    def _json(response: httpx2.Response) -> dict[str, Any]:
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body
