"""Plain events as the Arrow batch that the engine reads, each column by its description in relance.events.batch."""

from collections.abc import Sequence
from hashlib import sha256

import pyarrow as pa

from relance.events.batch import ABSENT, FLAG_PERSON, FLAG_RETURNING, FLAG_RETURNING_GIVEN, SCHEMA
from relance.events.catalog import CHANNEL_BIT, CODE, DEVICES
from tests.reference.events import Event

__all__ = ["batch_of"]


def batch_of(events: Sequence[Event]) -> pa.RecordBatch:
    """One row an event, in order."""
    shops = sorted({event.shop for event in events})
    columns = {
        "visitor": [event.visitor.bytes for event in events],
        "shop": pa.DictionaryArray.from_arrays(
            pa.array([shops.index(event.shop) for event in events], pa.int32()), pa.array(shops, pa.utf8())
        ),
        "type": [CODE[event.type] for event in events],
        "time": [event.time for event in events],
        "arrival": [_or_absent(event.arrival) for event in events],
        "event_hash": [_hash(event.source, event.id) for event in events],
        "cart_hash": [0 for _ in events],
        "total_minor": [_or_absent(event.total_minor) for event in events],
        "value_minor": [_or_absent(event.value_minor) for event in events],
        "top_price_minor": [_or_absent(event.top_price_minor) for event in events],
        "items": [-1 if event.items is None else event.quantity for event in events],
        "currency": [_currency(event.currency) for event in events],
        "device": [0 if event.device is None else DEVICES[event.device] for event in events],
        "flags": [_flags(event) for event in events],
        "consent_granted": [_bits(event, granted=True) for event in events],
        "consent_denied": [_bits(event, granted=False) for event in events],
        "product": ["" for _ in events],
        "page": ["" for _ in events],
        "campaign": ["" for _ in events],
    }
    arrays = [
        columns[field.name] if isinstance(columns[field.name], pa.Array) else pa.array(columns[field.name], field.type)
        for field in SCHEMA
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _or_absent(value: int | None) -> int:
    return ABSENT if value is None else value


def _hash(source: str, name: str) -> int:
    return int.from_bytes(sha256(f"{source}\n{name}".encode()).digest()[:8], "big")


def _currency(code: str | None) -> int:
    number = 0
    for letter in code or "":
        number = number * 32 + ord(letter) - ord("A") + 1
    return number


def _flags(event: Event) -> int:
    given = 0 if event.returning is None else FLAG_RETURNING_GIVEN
    return (FLAG_PERSON if event.person else 0) | (FLAG_RETURNING if event.returning else 0) | given


def _bits(event: Event, *, granted: bool) -> int:
    return sum(CHANNEL_BIT[channel] for channel, word in event.consent.items() if word == granted)
