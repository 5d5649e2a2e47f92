"""The port that operators look at: `/metrics`, `/health/live` and `/health/ready`, in threads of its own.

Threads, so that a busy event loop still answers a probe. It is for the inside of a cluster: bind it to the
loopback or to an address that the outside cannot reach.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from typing_extensions import override

from relance.observability.health import Health

__all__ = ["Exposition", "make_registry"]

_CLIENTS_MAX = 16
_CLIENT_TIMEOUT_S = 5.0


def make_registry() -> CollectorRegistry:
    """A registry that already says how the process does: CPU, memory, file descriptors, garbage collection."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class Exposition:
    """Serves one registry and one `Health` on `host`:`port` (0: any free port, then see `port`) until `close`."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, health: Health) -> None:
        """Bind at once: OSError when the port is taken."""
        answers = {
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/health/live": lambda: _json(health.live()),
            "/health/ready": lambda: _json(health.ready()),
        }
        self._server = _Server((host, port), type("_Probe", (_Answer,), {"answers": answers}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="exposition", daemon=True)

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering; returns when the listener is closed."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Answer(BaseHTTPRequestHandler):
    answers: dict[str, Any]
    timeout = _CLIENT_TIMEOUT_S

    def do_GET(self) -> None:
        answer = self.answers.get(self.path.partition("?")[0])
        status, content_type, body = answer() if answer else (404, "text/plain", b"not found\n")
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds; their lines would drown the others."""


class _Server(ThreadingHTTPServer):
    """Refuses the seventeenth client at a time, so that a flood costs no thread each."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], answer: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(_CLIENTS_MAX)
        super().__init__(address, answer)

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    @override
    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """A client that went away is no news."""


def _json(report: Any) -> tuple[int, str, bytes]:
    return report.http_status, "application/json", msgspec.json.encode(report)
