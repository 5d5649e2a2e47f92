"""A fresh shop with windows of its own, opened: every part of the system knows it before its first event."""

import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import msgspec

from relance.cli.playing import Poster
from relance.cli.shop import checked_name, new_key, with_definitions
from relance.events.shops import Shop
from relance.events.topics import BATCHES
from relance.kafka.admin import partition_count
from relance.kafka.consumer import tail
from relance.kafka.shops import ShopRegister
from relance.kernel.errors import InputError, NotNow
from relance.rules.windows import ControlRecord, Definitions

__all__ = ["check_tracking", "open_shop"]

_PATIENCE_S: Final = 60.0
_CONTROL: Final = msgspec.json.Decoder(ControlRecord)


def check_tracking(url: str) -> None:
    """Raises NotNow, saying what to do, unless the tracking service at `url` is ready."""
    try:
        answer = httpx.get(f"{url.rstrip('/')}/health/ready", timeout=10.0)
    except httpx.HTTPError as error:
        raise NotNow(
            f"no tracking service at {url} ({str(error) or type(error).__name__}): run `relance up`"
        ) from error
    except httpx.InvalidURL as error:
        raise InputError(f"{url} is no URL: {error}") from error
    if answer.status_code != 200:
        raise NotNow(f"the tracking service at {url} is not ready: {answer.text[:200]}")


def open_shop(kafka: str, url: str, shop: str, definitions: Definitions, *, patience_s: float = _PATIENCE_S) -> str:
    """Create `shop` with these windows and return its secret key.

    On return tracking takes the key, and the log of every partition holds the windows: no event can come before them.
    Raises InputError when there is such a shop already, NotNow when a service has not taken it in time.
    """
    name = checked_name(shop)
    secret, key = new_key(name, "secret")

    def make(known: Shop | None) -> Shop:
        if known is not None:
            raise InputError(f"shop {name} is there already; a fresh one is needed: give another name")
        return with_definitions(Shop(shop=name, version=0, keys=(key,)), definitions, 1)

    end_s = time.monotonic() + patience_s
    stop = threading.Event()
    records = tail(kafka, [BATCHES.name], stop=stop)
    try:
        next(records)  # it stands at the end now
        ShopRegister(kafka).change(name, make)
        _await_windows(records, name, partition_count(kafka, BATCHES.name), end_s)
    finally:
        stop.set()
        records.close()  # type: ignore[attr-defined]
    _await_key(url, secret, end_s)
    return secret


def _await_windows(records: Iterator[list[Any]], shop: str, partitions: int, end_s: float) -> None:
    missing = set(range(partitions))
    for messages in records:
        for message in messages:
            if message.partition() in missing and _tells(message.value() or b"", shop):
                missing.discard(message.partition())
        if not missing:
            return
        if time.monotonic() > end_s:
            raise NotNow(f"the session service has not taken the windows of {shop}: does it run, and is it ready?")


def _tells(value: bytes, shop: str) -> bool:
    if value[:1] != b"{":
        return False
    try:
        return _CONTROL.decode(value).shop == shop
    except (msgspec.MsgspecError, UnicodeDecodeError):  # a tick, or what the session service makes a dead letter
        return False


def _await_key(url: str, secret: str, end_s: float) -> None:
    poster = Poster(url, secret, patience_s=5.0)
    try:
        while True:
            try:
                poster.post(())
            except InputError as error:  # 401: the key has not come through yet
                if time.monotonic() > end_s:
                    raise NotNow(f"tracking does not take the key of the new shop: {error}") from error
                time.sleep(0.1)
            else:
                return
    finally:
        poster.close()
