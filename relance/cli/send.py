"""`relance send`: events into a running system, over HTTP with a key or straight to the raw topic."""

import json
import re
import secrets
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from relance.cli.console import NOTES
from relance.events.logs.lines import GZIP, PACKED
from relance.kernel.errors import InputError, NotNow
from relance.kernel.instants import format_ms

__all__ = ["register", "send"]

_AT_ONCE: Final = 200
_HTTP_TIMEOUT_S: Final = 30.0
_SHOWN: Final = 10


def register(program: typer.Typer) -> None:
    """Add the command to the program."""
    program.command()(send)


def send(
    file: Annotated[
        str | None, typer.Argument(help="CloudEvents: one, an array, or one a line; - for stdin.", metavar="FILE")
    ] = None,
    key: Annotated[str, typer.Option(envvar="RELANCE_KEY", help="Secret key of the shop.", show_default=False)] = "",
    url: Annotated[str, typer.Option(envvar="RELANCE_URL", help="The tracking service.")] = "http://127.0.0.1:8080",
    raw: Annotated[bool, typer.Option("--raw", help="Write to the topic shop-events instead; needs no key.")] = False,
    kind: Annotated[str, typer.Option("--type", help="Make one event of this type now.", show_default=False)] = "",
    shop: Annotated[str, typer.Option(help="Its shop.")] = "demo",
    visitor: Annotated[str, typer.Option(help="Its visitor.", show_default=False)] = "",
    data: Annotated[str, typer.Option(help="Its data, JSON.")] = "{}",
    patience_s: Annotated[
        float, typer.Option("--patience", min=0, help="Seconds to try again when told to wait.")
    ] = 30.0,
) -> None:
    """Send events and say what became of them; exit code 2 when one is refused."""
    if (file is None) == (not kind):
        raise InputError("either a FILE of events or --type is needed")
    events = _made(kind, shop, visitor, data) if kind else _read(file or "-")
    if raw:
        count = _send_raw(events)
        NOTES.print(f"{count} events are in shop-events")
        return
    if not key:
        raise InputError("a secret key is needed: --key, or RELANCE_KEY (see `relance shop create`)")
    if not re.fullmatch(r"[!-~]+", key):
        raise InputError("--key: a key has letters, digits and underscores only")
    accepted, refused = _send_http(events, url.rstrip("/"), key, patience_s)
    NOTES.print(f"{accepted} events are in Kafka, {refused} refused")
    if refused:
        raise typer.Exit(2)


def _made(kind: str, shop: str, visitor: str, data: str) -> list[bytes]:
    try:
        content = json.loads(data)
    except ValueError as error:
        raise InputError(f"--data is no JSON: {error}") from error
    event = {
        "specversion": "1.0", "id": secrets.token_hex(12), "source": f"/shops/{shop}", "type": kind,
        "time": format_ms(time.time_ns() // 1_000_000), "data": content,
    }  # fmt: skip
    if visitor:
        event["visitorid"] = visitor
    return [json.dumps(event).encode()]


def _read(file: str) -> list[bytes]:
    """The events of a file, each as JSON."""
    try:
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error
    if text.startswith(GZIP):
        raise InputError(f"{file}: {PACKED}")
    events = _split(text)
    if not events:
        raise InputError(f"{'standard input' if file == '-' else file} has no events")
    return events


def _split(text: bytes) -> list[bytes]:
    """One event, an array of them, or what stands on each line: the service says what is wrong with it."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return [line for line in text.splitlines() if line.strip()]
    events = whole if isinstance(whole, list) else [whole]
    return [json.dumps(event).encode() for event in events]


def _send_http(events: list[bytes], url: str, key: str, patience_s: float) -> tuple[int, int]:
    """(accepted, refused); the refused are told on standard error."""
    import httpx

    try:
        is_http = httpx.URL(url).scheme in {"http", "https"} and bool(httpx.URL(url).host)
    except httpx.InvalidURL:
        is_http = False
    if not is_http:
        raise InputError(f"--url {url!r} is no URL such as http://127.0.0.1:8080")
    accepted = refused = 0
    headers = {"authorization": f"Bearer {key}", "content-type": "application/x-ndjson"}
    with httpx.Client(base_url=url, headers=headers, timeout=_HTTP_TIMEOUT_S) as client:
        for begin in range(0, len(events), _AT_ONCE):
            answer = _post(client, b"\n".join(events[begin : begin + _AT_ONCE]), patience_s)
            rejected = answer.get("rejected", [])
            accepted += answer.get("accepted", 0)
            for one in rejected[: max(0, _SHOWN - refused)]:
                NOTES.print(f"refused: {_fault(one, begin)}", markup=False)
            refused += len(rejected)
    return accepted, refused


def _post(client: Any, body: bytes, patience_s: float) -> dict[str, Any]:
    import httpx

    end_s = time.monotonic() + patience_s
    while True:
        try:
            answer = client.post("/v1/events", content=body)
        except httpx.TransportError as error:
            raise NotNow(f"{client.base_url} does not answer: {error}") from error
        if answer.status_code in {202, 207, 422}:
            found: dict[str, Any] = answer.json()
            return found
        if answer.status_code not in {429, 503}:
            raise InputError(f"{client.base_url} says {answer.status_code}: {_detail(answer)}")
        wait_s = float(answer.headers.get("retry-after", "1"))
        if time.monotonic() + wait_s > end_s:
            raise NotNow(f"{client.base_url} says {answer.status_code}: {_detail(answer)}")
        time.sleep(wait_s)


def _detail(answer: Any) -> str:
    try:
        return str(answer.json().get("detail", ""))
    except ValueError:
        return str(answer.text)[:200]


def _fault(rejected: dict[str, Any], begin: int) -> str:
    problems = "; ".join(f"{one.get('path') or 'event'}: {one.get('reason')}" for one in rejected.get("problems", ()))
    place = begin + int(rejected.get("index", 0)) + 1
    return f"event {place} ({rejected.get('id') or 'no id'}): {problems}"


def _send_raw(events: list[bytes]) -> int:
    from relance.cli.cluster import bootstrap
    from relance.events.topics import RAW
    from relance.kafka.producer import Producer, producer_config

    producer = Producer(producer_config(bootstrap()), lambda _error: None)
    try:
        placed = [producer.submit(RAW.name, event, key=_visitor(event)) for event in events]
        for one in placed:
            one.result()
    finally:
        producer.close()
    return len(placed)


def _visitor(event: bytes) -> bytes | None:
    try:
        visitor = json.loads(event).get("visitorid")
    except (ValueError, AttributeError):
        return None
    return str(visitor).encode() if visitor else None
