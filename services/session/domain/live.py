"""One live session as people and other services ask for it: facts, cart, windows with their deadlines."""

from typing import Any, Final, Literal
from uuid import UUID

import msgspec
import numpy as np

from relance.events.catalog import CHANNEL_BIT, DEVICES, Stage
from relance.kernel.ids import session_id
from services.session.domain.compiled import unpack_currency
from services.session.domain.engine import Engine
from services.session.domain.firing import end_due, holds, shown_total
from services.session.domain.index import find, key_hash
from services.session.domain.layout import (
    ABSENT,
    ARMED,
    DEVICE_MASK,
    DEVICE_SHIFT,
    FIRED,
    ORDER,
    PAID,
    PERSON_KNOWN,
    RETURNING,
    STAGE_MASK,
)

__all__ = ["LiveSession", "LiveWindow", "look_up"]

_DEVICE_NAMES: Final = {code: name for name, code in DEVICES.items()}


class LiveWindow(msgspec.Struct, frozen=True):
    """A window that is open, armed, or has fired in this episode."""

    window: str
    state: Literal["open", "armed", "fired"]
    deadline_ms: int
    due_ms: int


class LiveSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session as it is at its partition's stream time. Instants in ms since 1970 UTC."""

    session_id: UUID
    shop: str
    visitor: UUID
    stage: str
    episode: int
    events: int
    first_activity_ms: int
    last_activity_ms: int
    ends_at_ms: int
    items: int
    total_minor: int | None
    currency: str | None
    top_price_minor: int | None
    known_person: bool
    returning: bool
    device: str | None
    consent_granted: tuple[str, ...]
    landing_page: str | None
    campaign: str | None
    last_order_ms: int | None
    shut: bool
    windows: tuple[LiveWindow, ...]
    stream_ms: int


def look_up(engine: Engine, shop: str, visitor: UUID) -> LiveSession | None:
    """The visitor's live session in this partition, or None."""
    if shop not in engine.shops.words:
        return None
    t = engine.tables
    number = engine.shops.intern(shop)
    hi, lo = np.uint64(visitor.int >> 64), np.uint64(visitor.int & (2**64 - 1))
    h = np.uint64(key_hash(hi, lo, t.shop_key[number]))  # comes back as an int, which would be taken for signed
    r = int(find(t, h, hi, lo, np.uint32(number)))
    if r < 0:
        return None
    row = t.rows[r]
    state = int(row["state"])
    nodes = _nodes(engine, r)
    times = {node["kind"]: int(node["t"]) for node in nodes if node["kind"] in (ORDER, PAID)}
    page, campaign = engine.origin(int(row["origin"]))
    return LiveSession(
        session_id=session_id(visitor, shop, int(row["first_append"])),
        shop=shop,
        visitor=visitor,
        stage=Stage(state & STAGE_MASK).name.lower(),
        episode=int(row["episode"]),
        events=int(row["events"]),
        first_activity_ms=int(row["first_activity"]),
        last_activity_ms=int(row["last_activity"]),
        ends_at_ms=int(end_due(t, r)),
        items=int(row["items"]),
        total_minor=_known(int(shown_total(row))),
        currency=unpack_currency(int(row["currency"])),
        top_price_minor=_known(int(row["top_price"])),
        known_person=bool(state & PERSON_KNOWN),
        returning=bool(state & RETURNING),
        device=_DEVICE_NAMES.get((state & DEVICE_MASK) >> DEVICE_SHIFT),
        consent_granted=tuple(channel for channel, bit in CHANNEL_BIT.items() if row["consent"] & bit),
        landing_page=page or None,
        campaign=campaign or None,
        last_order_ms=times.get(ORDER),
        shut=bool(times) and int(row["opener_time"]) <= max(times.values()),
        windows=tuple(_windows(engine, row, nodes)),
        stream_ms=engine.stream_ms,
    )


def _known(value: int) -> int | None:
    return None if value == ABSENT else value


def _nodes(engine: Engine, r: int) -> list[Any]:
    t = engine.tables
    nodes = []
    n = int(t.rows[r]["nodes"])
    while n >= 0:
        nodes.append(t.nodes[n])
        n = int(t.nodes[n]["next"])
    return nodes


def _windows(engine: Engine, row: Any, nodes: list[Any]) -> list[LiveWindow]:
    """In the order of the file: open ones, armed ones, firings of this episode."""
    t = engine.tables
    definition = t.definitions[t.shop_definition[row["shop"]]]
    grace = int(definition["grace"])
    found: list[LiveWindow] = []
    for window in t.windows[definition["begin"] : definition["end"]]:
        name = engine.names.words[window["name"]]
        inactivity = int(window["inactivity"])
        own = [(node["kind"], int(node["t"])) for node in nodes if node["name"] == window["name"]]
        firings = sorted(at for kind, at in own if kind == FIRED)
        is_here = window["stage"] == row["state"] & STAGE_MASK and window["since"] <= row["seen"]
        if is_here and not firings and holds(row, window):
            deadline = int(row["last_activity"]) + inactivity
            found.append(LiveWindow(name, "open", deadline, deadline + grace))
        deadlines = [at + inactivity for kind, at in own if kind == ARMED]
        found += [LiveWindow(name, "armed", at, at + grace) for at in deadlines]
        found += [LiveWindow(name, "fired", at, at + grace) for at in firings]
    return found
