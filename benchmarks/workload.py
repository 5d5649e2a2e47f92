"""The workload: 390-byte CloudEvents of one shop, and what a right answer to it is.

Each visitor has one session of 4 to 16 events (10 on average) within `SPAN_MS`, and is never seen again; one in ten
leaves a cart of 500 EUR or more. So there is one session end per ten events, and one abandoned cart per hundred. Events
of all visitors are interleaved as they would arrive: in order of time, but for up to `DISORDER_MS`.

Event times lie ahead of the clock. The rivals take them as event time. Relance's clock is the log's append time, and an
event is never later than that; so for it an event happens when it is appended, and the same gap is one of the drain's
own seconds.
"""

import hashlib
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["BIG_CART_MINOR", "EVENT_BYTES", "GAP_MS", "GRACE_MS", "SENTINEL", "SHOP", "VISITOR",
           "Answer", "Workload", "answer", "generate", "last_row"]  # fmt: skip

EVENT_BYTES: Final = 390
SHOP: Final = "bench"
GAP_MS: Final = 5_000
GRACE_MS: Final = 1_000
SPAN_MS: Final = 2_500
DISORDER_MS: Final = 50
BIG_CART_MINOR: Final = 50_000
MEAN_EVENTS: Final = 10
SENTINEL: Final = (
    "ffffffff-ffff-4fff-bfff-ffffffffffff"  # its one event, 30 s later, moves event time past every session's end
)

_MIN_EVENTS: Final = 4
_MAX_EVENTS: Final = 2 * MEAN_EVENTS - _MIN_EVENTS
_BIG_SHARE: Final = 0.10
_SMALL_SHARE: Final = 0.05  # carts that are no reason for a signal
_CHUNK: Final = 100_000
_SENTINEL_MS: Final = 30_000

# Placeholders in a template: a run of one control character is the field's place.
_ID, _VISITOR, _TIME, _PRODUCT, _TOTAL = (chr(code) for code in range(1, 6))
_WIDTH: Final = {_ID: 10, _VISITOR: 36, _TIME: 24, _PRODUCT: 6, _TOTAL: 5}

_PAGE, _LIST, _SEARCH, _PRODUCT_VIEW, _CLICK, _ENGAGED, _ADD, _UPDATE = range(8)
_DATA: Final = (
    ("page.viewed", '"page":"/c/%P","url":"https://shop.example/c/%P?utm_campaign=autumn"'),
    ("product.list_viewed", '"list_id":"l-%P","category":"lamps"'),
    ("products.searched", '"query":"lamp %P","results":24'),
    ("product.viewed", '"product_id":"p-%P","url":"https://shop.example/p/%P"'),
    ("product.clicked", '"product_id":"p-%P","url":"https://shop.example/p/%P"'),
    ("page.engaged", '"engaged_ms":15000,"page":"/p/%P"'),
    (
        "cart.product_added",
        '"cart_id":"c-%P","currency":"EUR","items":[{"product_id":"p-%P","quantity":1,"price_minor":%S}]',
    ),
    (
        "cart.updated",
        '"cart_id":"c-%P","currency":"EUR","total_minor":%S,"items":[{"product_id":"p-%P","quantity":1,"price_minor":%S}]',
    ),
)
_BROWSING: Final = np.array(
    [_PAGE, _LIST, _SEARCH, _PRODUCT_VIEW, _PRODUCT_VIEW, _PRODUCT_VIEW, _CLICK, _ENGAGED], dtype=np.uint8
)

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What was generated: `file` holds `events` rows of `EVENT_BYTES`, the sentinel last."""

    file: str
    events: int
    sessions: int
    live: int  # sessions open at once in a steady stream, by event time
    seed: int
    start_ms: int
    end_ms: int


class Answer(msgspec.Struct, frozen=True):
    """The reference: events by (visitor, ordinal of its session), and the visitors with a big cart."""

    ended: dict[tuple[str, int], int]
    abandoned: frozenset[str]


def rate_per_s(live: int) -> float:
    """Events per second of event time that keep `live` sessions open: each lives its span, the gap and the grace."""
    life_s = (SPAN_MS * (MEAN_EVENTS - 1) / MEAN_EVENTS + GAP_MS + GRACE_MS) / 1000
    return live * MEAN_EVENTS / life_s


def generate(directory: Path, *, events: int, live: int, seed: int, start_ms: int) -> Workload:
    """Write the log of about `events` events, and the sentinel, unless it is there. Equal arguments, equal bytes."""
    name = hashlib.sha256(f"{events}/{live}/{seed}/{start_ms}/{_DATA}/{_SENTINEL_MS}".encode()).hexdigest()[:16]
    file = directory / f"workload-{name}.bin"
    note = file.with_suffix(".json")
    if note.exists():
        return msgspec.json.decode(note.read_bytes(), type=Workload)
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    visitors, session, types, times, totals = _plan(rng, events, live, start_ms)
    end_ms = int(times.max())
    with file.open("wb") as out:
        for first in range(0, len(times), _CHUNK):
            part = slice(first, first + _CHUNK)
            numbers = np.arange(first, first + len(times[part]))
            out.write(_rows(rng, numbers, visitors[session[part]], types[part], times[part], totals[part]).tobytes())
        sentinel = np.frombuffer(SENTINEL.encode(), dtype=np.uint8)[None, :]
        last = (
            np.array([len(times)]),
            sentinel,
            np.array([_PAGE], dtype=np.uint8),
            np.array([end_ms + _SENTINEL_MS]),
            np.array([10_000]),
        )
        out.write(_rows(rng, *last).tobytes())
    made = Workload(
        file=str(file),
        events=len(times),
        sessions=len(visitors),
        live=live,
        seed=seed,
        start_ms=start_ms,
        end_ms=end_ms,
    )
    note.write_bytes(msgspec.json.encode(made))
    return made


def _plan(rng: np.random.Generator, events: int, live: int, start_ms: int) -> tuple[Bytes, Ints, Bytes, Ints, Ints]:
    """Visitors as text (sessions x 36), and of each event in log order: session, template, time, cart total."""
    lengths = rng.integers(_MIN_EVENTS, _MAX_EVENTS + 1, size=2 * events // MEAN_EVENTS + 2)
    sessions = int(np.searchsorted(np.cumsum(lengths), events, side="right"))
    lengths = lengths[:sessions]
    session = np.repeat(np.arange(sessions), lengths)
    place = np.arange(len(session)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    offsets = rng.integers(0, SPAN_MS + 1, size=len(session))
    offsets[place == 0] = 0
    offsets = offsets[np.lexsort((offsets, session))]  # ascending within each session
    begin = start_ms + np.arange(sessions) * (MEAN_EVENTS * 1000 / rate_per_s(live))
    times = begin.astype(np.int64)[session] + offsets
    types = rng.choice(_BROWSING, size=len(session))
    kind = rng.random(sessions)
    left = np.repeat(lengths, lengths) - place
    with_cart = kind[session] < _BIG_SHARE + _SMALL_SHARE
    types[with_cart & (left == 2)] = _ADD
    types[with_cart & (left == 1)] = _UPDATE
    times[with_cart & (left == 1)] += 1  # later than the addition: at one instant the order of arrival would decide
    big = rng.integers(BIG_CART_MINOR, 100_000, size=sessions)
    small = rng.integers(10_000, BIG_CART_MINOR, size=sessions)
    totals = np.where(kind < _BIG_SHARE, big, small)[session]
    order = np.argsort(times + rng.integers(0, DISORDER_MS + 1, size=len(times)), kind="stable")
    return _visitors(rng, sessions), session[order], types[order], times[order], totals[order]


def _visitors(rng: np.random.Generator, count: int) -> Bytes:
    """Random UUIDs (version 4) as text, count x 36."""
    raw = rng.integers(0, 256, size=(count, 16), dtype=np.uint8)
    raw[:, 6] = raw[:, 6] & 0x0F | 0x40
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    text = np.full((count, 36), ord("-"), dtype=np.uint8)
    places = [at for at in range(36) if at not in (8, 13, 18, 23)]
    text[:, places[0::2]] = digits[raw >> 4]
    text[:, places[1::2]] = digits[raw & 15]
    return text


def _template(kind: str, data: str) -> str:
    data = data.replace("%P", _PRODUCT * 6).replace("%S", _TOTAL * 5)
    head = (
        f'{{"specversion":"1.0","id":"{_ID * 10}","source":"/shops/{SHOP}","visitorid":"{_VISITOR * 36}",'
        f'"time":"{_TIME * 24}","type":"{kind}","device":"mobile","returning":true,"data":{{{data},"title":"'
    )
    title = "Lampe de bureau articulee en laiton, abat-jour en verre souffle, livree en trois jours, sans ampoule "
    room = EVENT_BYTES - len(head) - len('"}}')
    return head + (title * 3)[:room] + '"}}'


_TEMPLATES: Final = np.stack([np.frombuffer(_template(kind, data).encode(), dtype=np.uint8) for kind, data in _DATA])


_PLACES: Final = np.flatnonzero(_TEMPLATES[_PAGE] == ord(_VISITOR))
VISITOR: Final = slice(int(_PLACES[0]), int(_PLACES[-1]) + 1)  # the visitor's id stands at the same place in every row


def _rows(rng: np.random.Generator, numbers: Ints, visitors: Bytes, types: Bytes, times: Ints, totals: Ints) -> Bytes:
    """The events as bytes, rows x EVENT_BYTES."""
    rows = _TEMPLATES[types]
    fields = {
        _ID: _digits(numbers, 10),
        _VISITOR: visitors,
        _TIME: _times(times),
        _PRODUCT: _digits(rng.integers(0, 1_000_000, size=len(numbers)), 6),
        _TOTAL: _digits(totals, 5),
    }
    for code, template in enumerate(_TEMPLATES):
        chosen = np.flatnonzero(types == code)
        for mark, values in fields.items():
            places = np.flatnonzero(template == ord(mark)).reshape(-1, _WIDTH[mark])
            for place in places:
                rows[chosen[:, None], place[None, :]] = values[chosen]
    return rows


def _digits(values: Ints, width: int) -> Bytes:
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return (values[:, None] // powers % 10 + ord("0")).astype(np.uint8)


def _times(times: Ints) -> Bytes:
    """RFC 3339 UTC with milliseconds, rows x 24."""
    seconds, which = np.unique(times // 1000, return_inverse=True)
    text = np.datetime_as_string(seconds.astype("datetime64[s]"), unit="s").astype("S19")
    rows = np.empty((len(times), 24), dtype=np.uint8)
    rows[:, :19] = np.frombuffer(text.tobytes(), dtype=np.uint8).reshape(-1, 19)[which]
    rows[:, 19] = ord(".")
    rows[:, 20:23] = _digits(times % 1000, 3)
    rows[:, 23] = ord("Z")
    return rows


class _Data(msgspec.Struct, frozen=True):
    total_minor: int | None = None


class _Event(msgspec.Struct, frozen=True):
    visitorid: str
    time: datetime
    data: _Data


def answer(workload: Workload) -> Answer:
    """The offline reference, from the log's bytes alone: sort by visitor and time, split where the gap is exceeded."""
    decode = msgspec.json.Decoder(_Event).decode
    by_visitor: dict[str, list[int]] = {}
    top: dict[str, int] = {}
    with Path(workload.file).open("rb") as log:
        while row := log.read(EVENT_BYTES):
            event = decode(row)
            by_visitor.setdefault(event.visitorid, []).append(round(event.time.timestamp() * 1000))
            if event.data.total_minor is not None:
                top[event.visitorid] = max(top.get(event.visitorid, 0), event.data.total_minor)
    del by_visitor[SENTINEL]
    ended = {}
    for visitor, times in by_visitor.items():
        times.sort()
        sizes = [1]
        for before, after in pairwise(times):
            if after - before > GAP_MS:
                sizes.append(0)
            sizes[-1] += 1
        ended.update({(visitor, ordinal): size for ordinal, size in enumerate(sizes)})
    return Answer(ended, frozenset(visitor for visitor, total in top.items() if total >= BIG_CART_MINOR))


def last_row(workload: Workload) -> bytes:
    """The sentinel's event."""
    with Path(workload.file).open("rb") as log:
        log.seek(-EVENT_BYTES, 2)
        return log.read()
