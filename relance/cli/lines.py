"""CloudEvents lines of a file as the engine's columns, for `relance simulate`.

More forgiving than tracking: a log may come from elsewhere, so data that detection does not read may be missing or odd.
What detection reads must be right. For events that tracking takes, the columns that detection reads are the same.
"""

import codecs
import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relance.events.batch import ABSENT, FLAG_PERSON, FLAG_RETURNING, FLAG_RETURNING_GIVEN, SCHEMA
from relance.events.catalog import CHANNEL_BIT, CODE, DEVICES
from relance.events.envelope import shop_of
from relance.events.logs.lines import GZIP, PACKED
from relance.events.money import currency_code
from relance.kernel.errors import InputError
from relance.kernel.ids import visitor_uuid
from relance.kernel.instants import parse_ms

__all__ = ["Chunk", "LineReader"]

Minor = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
Quantity = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Given = Annotated[str, msgspec.Meta(min_length=1)]


class _Item(msgspec.Struct, gc=False):
    quantity: Quantity | None = None
    price_minor: Minor | None = None


class _Data(msgspec.Struct):
    cart_id: str | None = None
    currency: str | None = None
    total_minor: Minor | None = None
    items: list[_Item] | None = None
    consent: dict[str, Any] | None = None
    channel: Any = None
    status: Any = None


class _Line(msgspec.Struct):
    id: Given
    source: Given
    type: str
    time: str
    visitorid: str | int | None = None
    personid: str | int | None = None
    device: Literal["desktop", "mobile", "tablet", ""] | None = None
    returning: bool | None = None
    receivedtime: str | None = None
    arrivedtime: str | None = None
    data: _Data | None = None


class Chunk(NamedTuple):
    """Rows of `relance.events.batch.SCHEMA` and, for each, the effective append time of its line in ms."""

    batch: pa.RecordBatch
    append_ms: NDArray[np.int64]


_NO_DATA: Final = _Data()
_decode: Final[Callable[[bytes], _Line]] = msgspec.json.Decoder(_Line).decode
_visitor: Final[Callable[[str, str], UUID]] = lru_cache(maxsize=262_144)(visitor_uuid)
_currency: Final = lru_cache(maxsize=1024)(currency_code)
_PLAIN: Final = tuple(name for name in SCHEMA.names if name not in {"shop", "product", "page", "campaign"})


class LineReader:
    """Collects lines in the order of arrival; `stream_ms` is the instant of the last one, None before the first.

    With `until_ms` reading stops before the first line that is appended later.
    """

    def __init__(self, file: str, until_ms: int | None = None) -> None:
        self.file = file
        self.stream_ms: int | None = None
        self.first_ms: int | None = None
        self._until_ms = until_ms
        self._number = 0
        self._shops: dict[str, int] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._append_ms: list[int] = []

    def add(self, raw: bytes) -> bool:
        """Take the file's next line; False when it lies after the end of the simulation.

        Raises InputError that names file, line and reason.
        """
        self._number += 1
        if self._number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
            if raw.startswith(GZIP):
                raise InputError(f"{self.file}: {PACKED}")
        if not raw.strip():
            return True
        try:
            line = _decode(raw)
            append_ms = _instant(line.receivedtime or line.time)
            if self._until_ms is not None and append_ms > self._until_ms:
                return False
            row = self._row(line)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            raise InputError(f"{self.file}:{self._number}: {str(error).splitlines()[0]}") from None
        self.stream_ms = append_ms if self.stream_ms is None else max(append_ms, self.stream_ms)
        if self.first_ms is None:
            self.first_ms = self.stream_ms
        if row is not None:
            self._rows.append(row)
            self._append_ms.append(self.stream_ms)
        return True

    def __len__(self) -> int:
        return len(self._rows)

    def take(self) -> Chunk:
        """The rows collected since the last call."""
        columns: dict[str, Any] = dict(zip(("shop", *_PLAIN), zip(*self._rows, strict=True), strict=True))
        arrays = []
        for field in SCHEMA:
            if field.name == "shop":
                places = pa.array(columns["shop"], pa.int32())
                arrays.append(pa.DictionaryArray.from_arrays(places, pa.array(list(self._shops), pa.utf8())))
            else:
                values = columns.get(field.name) or [""] * len(self._rows)
                arrays.append(pa.array(values, field.type))
        chunk = Chunk(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA), np.array(self._append_ms, np.int64))
        self._rows.clear()
        self._append_ms.clear()
        return chunk

    def _row(self, line: _Line) -> tuple[Any, ...] | None:
        """Shop's place and the plain columns in their order; None for an event without visitor: a fact, not a visit."""
        code = CODE.get(line.type)
        if code is None:
            raise ValueError(f"{line.type!r} is no type of the catalog")
        shop = shop_of(line.source)
        time_ms = _instant(line.time)
        arrival_ms = _instant(line.arrivedtime) if line.arrivedtime else ABSENT
        if line.visitorid is None or line.visitorid == "":
            return None
        data = line.data or _NO_DATA
        total = ABSENT if data.total_minor is None else data.total_minor
        granted, denied = _consent(line.type, data)
        return (
            self._shops.setdefault(shop, len(self._shops)),
            _visitor(shop, str(line.visitorid)).bytes,
            code,
            time_ms,
            arrival_ms,
            _hash(f"{len(line.source)} {line.source} {line.id}"),
            _hash(data.cart_id) if data.cart_id else 0,
            total,
            *_items(data.items),
            _currency(data.currency) if data.currency else 0,
            DEVICES[line.device] if line.device else 0,
            _flags(line),
            granted,
            denied,
        )


def _instant(text: str) -> int:
    try:
        return parse_ms(text)
    except ValueError:
        pass
    try:
        return parse_ms(text.upper())  # RFC 3339 allows z and t
    except ValueError:
        raise ValueError(f"{text!r} is no RFC 3339 time with a zone, in the years 1 to 9999 of UTC") from None


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _items(items: list[_Item] | None) -> tuple[int, int, int]:
    """(value, highest price, sum of quantities) as the batch describes them."""
    if items is None:
        return ABSENT, ABSENT, -1
    quantity = value = 0
    top = ABSENT
    known = True
    for item in items:
        count = 1 if item.quantity is None else item.quantity
        quantity += count
        if item.price_minor is None:
            known = False
        else:
            value += count * item.price_minor
            top = max(top, item.price_minor)
    if quantity >= 2**31 or abs(value) >= 2**62:
        raise ValueError("the items are more than a cart holds")
    return (value if known else ABSENT), top, quantity


def _flags(line: _Line) -> int:
    flags = FLAG_PERSON if line.personid is not None and line.personid != "" else 0
    if line.returning is not None:
        flags |= FLAG_RETURNING_GIVEN | (FLAG_RETURNING if line.returning else 0)
    return flags


def _consent(kind: str, data: _Data) -> tuple[int, int]:
    """(granted, denied): one bit a channel."""
    bits = [0, 0]
    for channel, word in (data.consent or {}).items():
        bits[word is not True and word != "granted"] |= CHANNEL_BIT.get(channel, 0)
    if kind == "consent.changed" and isinstance(data.channel, str):
        bit = CHANNEL_BIT.get(data.channel, 0)
        granted = data.status == "granted"
        bits = [bits[0] & ~bit, bits[1] & ~bit]
        bits[not granted] |= bit
    return bits[0], bits[1]
