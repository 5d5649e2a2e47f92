"""Events out of batches: what detection reads comes from the columns, the rest from the facts where they are kept."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import pyarrow as pa

from relance.events.batch import ABSENT, FLAG_PERSON, FLAG_RETURNING, FLAG_RETURNING_GIVEN
from relance.events.catalog import BY_CODE, CHANNEL_BIT, DEVICES
from relance.kernel.errors import InputError
from relance.kernel.instants import format_ms
from services.tracking.domain.hashing import event_hash

__all__ = ["FactStore", "events_of"]

_ARROW: Final = b"\xff\xff\xff\xff"
_DEVICE: Final = {code: name for name, code in DEVICES.items()}
_COMMIT_EVERY: Final = 10_000
_FIND: Final = "SELECT value FROM facts WHERE hash = ? ORDER BY type = ? DESC LIMIT 1"


class _Fact(msgspec.Struct):
    id: str
    source: str
    type: str
    personid: str | None = None
    data: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Fact).decode


class FactStore:
    """Facts by the hash of their source and id, and by type, on disk: a log has more of them than fit in memory."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
                               "CREATE TABLE facts (hash INTEGER, type TEXT, value BLOB, PRIMARY KEY (hash, type))"
                               "WITHOUT ROWID;")  # fmt: skip

    def add(self, values: Iterable[bytes]) -> None:
        """Take facts; of two with one identity and type the first is kept."""
        rows: list[tuple[int, str, bytes]] = []
        for value in values:
            try:
                fact = _decode(value)
            except (msgspec.MsgspecError, ValueError):
                continue
            rows.append((_signed(event_hash(fact.source, fact.id)), fact.type, value))
            if len(rows) == _COMMIT_EVERY:
                self._insert(rows)
        self._insert(rows)

    def find(self, identity: int, type_name: str) -> _Fact | None:
        """The fact of an event hash: that of the type, else one of another type with the same source and id."""
        row = self._db.execute(_FIND, (_signed(identity), type_name)).fetchone()
        return _decode(row[0]) if row else None

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _insert(self, rows: list[tuple[int, str, bytes]]) -> None:
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?, ?)", rows)
        self._db.execute("COMMIT")
        rows.clear()


def events_of(value: bytes, append_ms: int, facts: FactStore) -> Iterator[dict[str, Any]]:
    """The CloudEvents of one record of `tracking.batches.v1`, in order; none for ticks and definitions.

    `_shop` is the shop beside the attributes. Raises InputError when the record is no batch.
    """
    if not value.startswith(_ARROW):
        return
    try:
        with pa.ipc.open_stream(value) as stream:
            rows = stream.read_all().to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"a record appended at {format_ms(append_ms)} is no batch: {error}") from error
    received = format_ms(append_ms)
    for row in rows:
        yield _event(row, received, facts)


def _event(row: dict[str, Any], received: str, facts: FactStore) -> dict[str, Any]:
    kind = BY_CODE[row["type"]]
    same = facts.find(row["event_hash"], kind.name)  # of another type: the duplicate filter's same event
    fact = same if same is not None and same.type == kind.name else None
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": same.id if same else f"h-{row['event_hash']:016x}",
        "source": same.source if same else f"/shops/{row['shop']}",
        "type": kind.name,
        "time": format_ms(row["time"]),
        "visitorid": str(UUID(bytes=row["visitor"])),
        "receivedtime": received,
    }
    if row["arrival"] != ABSENT:
        event["arrivedtime"] = format_ms(row["arrival"])
    if row["flags"] & FLAG_PERSON:
        event["personid"] = (fact.personid if fact else None) or "known"
    if row["device"]:
        event["device"] = _DEVICE[row["device"]]
    if row["flags"] & FLAG_RETURNING_GIVEN:
        event["returning"] = bool(row["flags"] & FLAG_RETURNING)
    event["data"] = _told(row) if fact is None or fact.data is None else fact.data
    event["_shop"] = row["shop"]
    return event


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """What the columns tell of `data`; items that have their number, sum and highest price."""
    data: dict[str, Any] = {}
    if row["cart_hash"]:
        data["cart_id"] = f"h-{row['cart_hash']:016x}"
    if row["currency"]:
        data["currency"] = _letters(row["currency"])
    if row["total_minor"] != ABSENT:
        data["total_minor"] = row["total_minor"]
    if row["items"] >= 0:
        data["items"] = _items(row["items"], row["value_minor"], row["top_price_minor"])
    for column, name in (("product", "product_id"), ("page", "page"), ("campaign", "campaign")):
        if row[column]:
            data[name] = row[column]
    consent = {
        channel: bool(row["consent_granted"] & bit)
        for channel, bit in CHANNEL_BIT.items()
        if (row["consent_granted"] | row["consent_denied"]) & bit
    }
    if consent:
        data["consent"] = consent
    return data


def _items(count: int, value_minor: int, top_minor: int) -> list[dict[str, Any]]:
    """Items of `count` pieces with this value (ABSENT: not all have a price) and highest price (ABSENT: none has)."""
    if count == 0:
        return []
    if top_minor == ABSENT:
        return [{"product_id": "unknown", "quantity": count}]
    items: list[dict[str, Any]] = [{"product_id": "unknown", "quantity": 1, "price_minor": top_minor}]
    rest = count - 1
    if value_minor == ABSENT:
        items.append({"product_id": "unknown", "quantity": max(rest, 0)})
    elif rest:
        price, dearer = divmod(value_minor - top_minor, rest)
        for quantity, price_minor in ((rest - dearer, price), (dearer, price + 1)):
            if quantity:
                items.append({"product_id": "unknown", "quantity": quantity, "price_minor": price_minor})
    return items


def _letters(code: int) -> str:
    return "".join(chr(64 + (code >> shift & 31)) for shift in (10, 5, 0))


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number
