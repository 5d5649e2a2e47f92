"""What tests of the browser tracker need: a shop's pages on a port of their own, the service, and a reader of Kafka."""

import hashlib
import http.server
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any, Final, Literal
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import pyarrow as pa
from playwright.sync_api import Page
from typing_extensions import override

from relance.events import codec
from relance.events.catalog import BY_CODE
from relance.events.envelope import shop_of
from relance.events.shops import Key, Shop
from relance.events.topics import BATCHES, FACTS
from relance.kafka.consumer import BatchConsumer, consumer_config
from relance.kafka.shops import ShopRegister
from tests.integration.conftest import Running

__all__ = ["Arrived", "PageServer", "Scene", "free_port", "serve_pages", "start_tracking", "write_shop"]

PAGES: Final = Path(__file__).parent / "pages"
PATIENCE_S: Final = 30.0


class PageServer(http.server.ThreadingHTTPServer):
    """The shop's own web server: files of `pages`, with the tag of the tracker filled in."""

    daemon_threads = True
    tag: dict[str, str]

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        file = PAGES / path.lstrip("/")
        if path != "/favicon.ico" and not file.is_file():
            file = PAGES / "home.html"  # a single-page application answers so for its routes
        if not file.is_file() or path == "/favicon.ico":
            self.send_error(404)
            return
        server = self.server
        assert isinstance(server, PageServer)
        options = parse_qs(query).get("tag", [""])[0]  # more attributes of the tracker's tag
        body = Template(file.read_text()).safe_substitute(server.tag, options=options).encode()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Tests print what they need themselves."""


class Arrived:
    """What is in Kafka: rows of batches and whole facts, of one visitor or of all."""

    def __init__(self, bootstrap: str, shop: str) -> None:
        self._shop = shop
        self._consumer = BatchConsumer(consumer_config(bootstrap, f"reader-{uuid4().hex}"))
        self._consumer.assign(
            {place: 0 for topic in (BATCHES, FACTS) for place in self._consumer.partitions(topic.name)}
        )
        self._rows: list[dict[str, Any]] = []
        self._facts: list[codec.Event] = []

    def close(self) -> None:
        self._consumer.close()

    def rows(self, visitor: str, type_name: str | None = None) -> list[dict[str, Any]]:
        """Rows in the order of their times."""
        self._read(0.05)
        found = [row for row in self._rows if row["visitor"] == visitor and type_name in {None, row["type"]}]
        return sorted(found, key=lambda row: row["time"])

    def facts(self, visitor: str, type_name: str) -> list[Any]:
        self._read(0.05)
        return [
            event for event in self._facts if event.visitorid == visitor and event.__struct_config__.tag == type_name
        ]

    def until(self, holds: Callable[[], object], page: Page, what: str) -> None:
        """Let the page live on until `holds()`."""
        end_s = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < end_s, f"not in Kafka in time: {what}; there is {self._rows[-20:]}"
            page.wait_for_timeout(50)

    def _read(self, wait_s: float) -> None:
        for message in self._consumer.consume(1_000, wait_s):
            value = message.value()
            if message.topic() == FACTS.name:
                event = codec.decode(value)
                if shop_of(event.source) == self._shop:
                    self._facts.append(event)
            elif value.startswith(b"\xff\xff\xff\xff"):
                rows = pa.ipc.open_stream(value).read_all().to_pylist()
                self._rows += [_readable(row) for row in rows if row["shop"] == self._shop]


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"visitor": str(UUID(bytes=row["visitor"])), "type": BY_CODE[row["type"]].name}


class Scene:
    """One shop, its pages and what arrived of them."""

    def __init__(self, bootstrap: str, server: PageServer, tracking_port: int) -> None:
        self.shop = server.tag["shop"]
        self.home = f"http://127.0.0.1:{server.port}"
        self.stranger = f"http://localhost:{server.port}"  # the same pages from an origin that the shop does not list
        self.endpoint = f"http://127.0.0.1:{tracking_port}/v1/collect"
        self.bootstrap = bootstrap
        self.server = server
        self.arrived = Arrived(bootstrap, self.shop)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_shop(bootstrap: str, name: str, key: str, origins: tuple[str, ...], per_second: int = 0) -> None:
    """A shop with one publishable key."""
    kind: Literal["publishable"] = "publishable"
    digest = hashlib.sha256(key.encode()).hexdigest()
    keys = (Key(kind=kind, sha256=digest, hint=key[-4:], created_at_ms=0),)
    shop = Shop(shop=name, version=1, keys=keys, origins=origins, events_per_second=per_second)
    ShopRegister(bootstrap).change(name, lambda _known: shop)


@contextmanager
def serve_pages(tag: dict[str, str]) -> Iterator[PageServer]:
    server = PageServer(("127.0.0.1", 0), _Handler)
    server.tag = tag
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def start_tracking(bootstrap: str, port: int, log: Path, **settings: str) -> Running:
    """The tracking service, ready; `settings` are its own, without their prefix."""
    own = {"PORT": str(port), "GRPC_PORT": "0", "METRICS_PORT": "0", "RAW_TOPIC": "false"} | settings
    variables = {f"RELANCE_TRACKING_{name}": value for name, value in own.items()}
    command = [sys.executable, "-m", "services.tracking"]
    running = Running("tracking", command, os.environ | variables | {"RELANCE_KAFKA": bootstrap}, log)
    try:
        running.until_answers(f"http://127.0.0.1:{port}/health/ready", 100.0)  # the first start on a machine compiles
    except BaseException:
        running.kill()
        raise
    return running
