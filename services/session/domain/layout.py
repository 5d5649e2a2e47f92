"""Memory layout of one partition's sessions: plain numpy records that the compiled kernels share.

A session is one row of 108 bytes; with its place in the index and in the timer wheel it takes at most 128. One row lies
in two or three cache lines, so that an event costs that many misses, and not one a field.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from relance.events.signals import Kind

Row = Any  # one element of an array of ROW and the like: its fields are attributes in compiled code

ABSENT: Final = -(2**63)

ROW: Final = np.dtype(
    [
        ("hi", "u8"),
        ("lo", "u8"),
        ("last_activity", "i8"),
        ("cart_time", "i8"),  # newest time that the cart follows; ABSENT: none
        ("first_append", "i8"),
        ("first_activity", "i8"),
        ("total", "i8"),
        ("top_price", "i8"),  # ABSENT: none
        ("opener_time", "i8"),  # newest event that opens stages 3 to 5 again; ABSENT: none
        ("shop", "u4"),
        ("events", "u4"),
        ("items", "i4"),
        ("nodes", "i4"),  # head of the list of NODEs, or next free row; -1: none
        ("sched", "u4"),  # wheel tick at which the row is looked at, modulo 2**32
        ("seen", "u4"),  # definition sequence at the last applied event
        ("origin", "i4"),  # interned (landing page, campaign); -1: none
        ("currency", "u2"),
        ("episode", "u2"),
        ("consent", "u2"),
        ("state", "u2"),
    ]
)

# Bits of ROW.state
STAGE_MASK: Final = 7
PRODUCT_SEEN: Final = 8
TOTAL_KNOWN: Final = 16
RETURNING: Final = 32
PERSON_KNOWN: Final = 64
DEVICE_SHIFT: Final = 7
DEVICE_MASK: Final = 3 << 7
HAS_LANDING: Final = 512
HAS_CAMPAIGN: Final = 1024
ALIVE: Final = 2048
SCHEDULED: Final = 4096

NODE: Final = np.dtype([("t", "i8"), ("name", "i4"), ("next", "i4"), ("kind", "i4"), ("pad", "i4")])
ARMED: Final = 0  # t: time of the arming event; name: window id
FIRED: Final = 1  # t: deadline with which it fired
ORDER: Final = 2  # t: time of the last order.completed
PAID: Final = 3  # t: time of the last payment.succeeded
MAX_FIRINGS: Final = 2_048  # of a session in one episode that are kept: for retraction, and not to fire twice

DEFINITION: Final = np.dtype(
    [
        ("gap", "i8"),
        ("grace", "i8"),
        ("lateness", "i8"),
        ("longest", "i8", (6,)),  # largest inactivity of the stage's windows, and the gap
        ("shortest", "i8", (6,)),  # smallest of the same
        ("event_mask", "u8"),  # bit = event type code
        ("begin", "i4"),
        ("end", "i4"),
    ],
    align=True,
)
WINDOW: Final = np.dtype(
    [
        ("inactivity", "i8"),
        ("total_at_least", "i8"),  # -1: not asked
        ("total_below", "i8"),
        ("price_at_least", "i8"),
        ("items_at_least", "i8"),
        ("events_at_least", "i8"),
        ("name", "i4"),
        ("since", "u4"),  # definition sequence at which it became what it is
        ("currency", "u2"),
        ("consent", "u2"),
        ("stage", "u1"),
        ("event", "u1"),
        ("device", "u1"),
        ("person", "i1"),  # -1 not asked, else 0 or 1
        ("returning", "i1"),
    ],
    align=True,
)

OUT: Final = np.dtype(
    [
        ("group", "i8"),  # clock moves and orders, numbered: the coarsest order of signals
        ("due", "i8"),
        ("hi", "u8"),
        ("lo", "u8"),
        ("deadline", "i8"),  # ABSENT: none
        ("last_activity", "i8"),
        ("first_append", "i8"),
        ("total", "i8"),  # ABSENT: unknown
        ("duration", "i8"),
        ("shop", "i4"),
        ("place", "i4"),
        ("name", "i4"),  # -1: none
        ("items", "i4"),
        ("events", "i4"),
        ("episode", "i4"),
        ("origin", "i4"),
        ("names_begin", "i4"),  # of a `converted`: its windows in `aux`
        ("names_end", "i4"),
        ("currency", "u2"),
        ("kind", "u1"),
        ("stage", "u1"),
    ],
    align=True,
)
KINDS: Final[tuple[Kind, ...]] = ("abandoned", "retracted", "converted", "ended")
ABANDONED: Final = 0
RETRACTED: Final = 1
CONVERTED: Final = 2
ENDED: Final = 3
PLACE_REMOVED: Final = 1_000  # windows that are no longer defined
PLACE_ENDED: Final = 1 << 30

# A pair of landing page and campaign: where its bytes begin in the arena, and how many each has.
ORIGIN: Final = np.dtype([("at", "i8"), ("hash", "u8"), ("page", "u2"), ("campaign", "u2"), ("pad", "u4")])


class Register:
    """Places of the scalars in `Tables.reg`."""

    STREAM = 0  # stream time, ms; ABSENT before the first record
    CUR = 1  # wheel tick of the stream time
    LIVE = 2
    ROW_FREE = 3  # head of the list of free rows
    ROW_TOP = 4  # rows ever used
    NODE_FREE = 5
    NODE_TOP = 6
    NODE_LEFT = 7  # nodes that can still be taken
    CHUNK_FREE = 8
    CHUNK_TOP = 9
    CHUNK_LEFT = 10
    OUT_N = 11
    AUX_N = 12
    ORIGINS = 13  # pairs of landing page and campaign
    GROUP = 14
    ADVANCING = 15
    SLOT = 16  # of the clock move under way
    SLOT_LAST = 17
    CHUNK = 18
    POS = 19
    SEQUENCE = 20  # definition sequence
    OFFSET = 21  # of the record being applied
    SEEN_HEAD = 22
    SEEN_TAIL = 23
    NEXT_ROW = 24  # event row at which a run goes on
    APPLIED = 25
    DUPLICATE = 26
    LATE = 27
    QUIET = 28  # quiet events of visitors without a session
    SKIPPED = 29  # events of buckets that have not joined yet
    FIRED = 30
    SEEN_EVICTED = 31  # ids dropped from the filter because it was full
    SCRATCH = 32
    TEXT_TOP = 33  # bytes of the arena in use
    SEED = 34  # of hashes that only this process sees
    SIZE = 35


class Tables(NamedTuple):
    """Everything a kernel touches. Arrays are replaced when they grow; their contents are the state."""

    reg: NDArray[np.int64]
    rows: NDArray[np.void]
    tags: NDArray[np.uint8]  # index: 0 empty, else 128 | 7 bits of the hash
    slots: NDArray[np.uint32]  # index: row
    heads: NDArray[np.int32]  # wheel: first chunk of each slot
    chunk_items: NDArray[np.int32]  # (chunks, 15)
    chunk_next: NDArray[np.int32]
    chunk_n: NDArray[np.int32]
    nodes: NDArray[np.void]
    definitions: NDArray[np.void]
    windows: NDArray[np.void]
    shop_definition: NDArray[np.int32]
    shop_key: NDArray[np.uint64]
    joined: NDArray[np.int64]  # per bucket: offset that its rows already contain
    seen_hash: NDArray[np.uint64]  # duplicate filter: ring of ids in order of arrival
    seen_shop: NDArray[np.uint32]
    seen_at: NDArray[np.int64]
    seen_tags: NDArray[np.uint8]
    seen_slots: NDArray[np.uint32]
    out: NDArray[np.void]
    aux: NDArray[np.int32]
    origins: NDArray[np.void]
    origin_slots: NDArray[np.uint32]  # 0 empty, else the number and 1
    origin_text: NDArray[np.uint8]
    ahead: NDArray[np.uint32]  # rows of the next events, as far as the index tells at a glance


class Columns(NamedTuple):
    """One batch as the kernels read it; all arrays have one entry an event."""

    hi: NDArray[np.uint64]
    lo: NDArray[np.uint64]
    shop: NDArray[np.int32]
    type: NDArray[np.uint8]
    time: NDArray[np.int64]
    arrival: NDArray[np.int64]
    event_hash: NDArray[np.uint64]
    total: NDArray[np.int64]
    value: NDArray[np.int64]
    top_price: NDArray[np.int64]
    items: NDArray[np.int32]
    currency: NDArray[np.uint16]
    device: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    granted: NDArray[np.uint16]
    denied: NDArray[np.uint16]
    page: NDArray[np.int32]  # Arrow offsets: one more entry
    page_text: NDArray[np.uint8]
    campaign: NDArray[np.int32]
    campaign_text: NDArray[np.uint8]
    append: NDArray[np.int64]
