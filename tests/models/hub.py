"""A stand-in for ModelScope: an HTTP server for the two calls of a download, with faults on demand."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

MODEL = "iic/nlp_structbert_sentiment-classification_chinese-tiny"


class Hub(ThreadingHTTPServer):
    """Serves a directory as the model `MODEL`. `fault` cuts or stalls the download of the weights."""

    daemon_threads = True

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.directory = directory
        self.fault = ""
        self.released = threading.Event()
        self.ranges: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def short_timeouts(folder: Path, endpoint: str) -> dict[str, str]:
    """Return the environment that points ModelScope's client at a stand-in, a cache and short timeouts."""
    return {
        "MODELSCOPE_ENDPOINT": endpoint,
        "MODELSCOPE_CACHE": str(folder / "cache"),
        "MODELSCOPE_DOWNLOAD_MAX_RETRIES": "0",
        "MODELSCOPE_DOWNLOAD_TIMEOUT": "1",
        "MODELSCOPE_API_MAX_RETRIES": "1",
        "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "1",
        "NO_PROXY": "127.0.0.1",
    }


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == f"/api/v1/models/{MODEL}/repo/files":
            self._answer(
                json.dumps({"Code": 200, "Success": True, "Data": {"Files": self._listing()}}).encode()
            )
        elif url.path == f"/api/v1/models/{MODEL}/repo":
            self._send(self.server.directory / parse_qs(url.query)["FilePath"][0])
        else:
            self._answer(b'{"Code":404,"Success":false,"Message":"record not found"}', 404)

    def _listing(self) -> list[dict[str, str | int]]:
        return [
            {
                "Path": path.name,
                "Type": "blob",
                "Size": path.stat().st_size,
                "Sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in self.server.directory.iterdir()
        ]

    def _send(self, path: Path) -> None:
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        if asked:
            self.server.ranges.append(f"{path.name} {begin}")
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        faulty = self.server.fault and path.suffix in (".safetensors", ".bin")
        self.wfile.write(data[begin : begin + len(data) // 2] if faulty else data[begin:])
        self.wfile.flush()
        if faulty and self.server.fault == "stall":
            self.server.released.wait(60)

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running_hub(directory: Path) -> Iterator[Hub]:
    """Run the stand-in inside the context."""
    hub = Hub(directory)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        hub.shutdown()
        hub.server_close()
