"""What the session service says: signals as JSON on `session.signals.v1`, endings in Arrow on `session.ended.v1`."""

from typing import Any, Final, Literal
from uuid import UUID

import msgspec
import pyarrow as pa

from relance.events.catalog import Stage
from relance.kernel.errors import InputError
from relance.kernel.instants import format_ms

__all__ = ["ENDED_SCHEMA", "Kind", "Signal", "from_ended"]

Kind = Literal["abandoned", "retracted", "converted", "ended"]


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One signal as JSON and as `relance simulate` writes it. Times are RFC 3339 UTC with milliseconds.

    `windows` is only written for `converted`, `events` and `duration_ms` only for `ended`.
    """

    signal_id: UUID
    kind: Kind
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


def from_ended(value: bytes) -> list[Signal]:
    """The signals of one message of `session.ended.v1`. Raises InputError when it is none."""
    try:
        with pa.ipc.open_stream(value) as stream:
            rows = stream.read_all().to_pylist()
        return [_ended(row) for row in rows]
    except (pa.ArrowException, OSError, KeyError) as error:
        message = f"not a batch of endings: {error}"
        raise InputError(message) from error


def _ended(row: dict[str, Any]) -> Signal:
    return Signal(
        signal_id=UUID(bytes=row["signal_id"]),
        kind="ended",
        shop=row["shop"],
        visitor=UUID(bytes=row["visitor"]),
        session_id=UUID(bytes=row["session_id"]),
        window=None,
        stage=Stage(row["stage"]).name.lower(),
        last_activity=format_ms(row["last_activity"]),
        deadline=None,
        fired_at=format_ms(row["fired_at"]),
        cart_total_minor=row["cart_total_minor"],
        currency=row["currency"],
        items=row["items"],
        events=row["events"],
        duration_ms=row["duration_ms"],
    )
