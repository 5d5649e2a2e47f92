"""What the session service says: signals as JSON on `session.signals.v1`, endings in Arrow on `session.ended.v1`."""

from typing import Final, Literal
from uuid import UUID

import msgspec
import pyarrow as pa

__all__ = ["ENDED_SCHEMA", "Signal"]


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One signal as JSON and as `relance simulate` writes it. Times are RFC 3339 UTC with milliseconds.

    `windows` is only written for `converted`, `events` and `duration_ms` only for `ended`.
    """

    signal_id: UUID
    kind: Literal["abandoned", "retracted", "converted", "ended"]
    shop: str
    visitor: UUID
    session_id: UUID
    window: str | None
    stage: str
    last_activity: str
    deadline: str | None
    fired_at: str
    cart_total_minor: int | None
    currency: str | None
    items: int
    windows: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    events: int | msgspec.UnsetType = msgspec.UNSET
    duration_ms: int | msgspec.UnsetType = msgspec.UNSET


ENDED_SCHEMA: Final = pa.schema(
    [
        pa.field(name, kind, nullable=nullable)
        for name, kind, nullable in (
            ("signal_id", pa.binary(16), False),
            ("session_id", pa.binary(16), False),
            ("shop", pa.dictionary(pa.int32(), pa.utf8()), False),
            ("visitor", pa.binary(16), False),
            ("stage", pa.uint8(), False),
            ("last_activity", pa.int64(), False),
            ("fired_at", pa.int64(), False),
            ("cart_total_minor", pa.int64(), True),
            ("currency", pa.utf8(), True),
            ("items", pa.int32(), False),
            ("events", pa.int32(), False),
            ("duration_ms", pa.int64(), False),
            ("episode", pa.int32(), False),
            ("landing_page", pa.utf8(), True),
            ("campaign", pa.utf8(), True),
        )
    ],
    metadata={"relance.ended.version": "1"},
)
