"""The columnar batch: what the session service reads of an event, as one Arrow record batch a record.

A record of `tracking.batches.v1` is one of

- an Arrow IPC stream with one record batch of `SCHEMA` (its bytes begin with FF FF FF FF);
- a JSON object `{"kind": "tick"}`: moves the clock, nothing else;
- a JSON object `{"kind": "definitions", ...}`: see `relance.rules.windows.ControlRecord`.

No column is nullable: a kernel then reads the buffers without a look at validity bitmaps; what is absent has the
sentinel that the field's metadata names. Fields may be added with a greater `VERSION`; a reader refuses a version that
it does not know.
"""

from typing import Final

import pyarrow as pa

__all__ = ["ABSENT", "FLAG_PERSON", "FLAG_RETURNING", "FLAG_RETURNING_GIVEN", "SCHEMA", "TICK", "VERSION"]

VERSION: Final = 1
TICK: Final = b'{"kind": "tick"}'
ABSENT: Final = -(2**63)  # no value, in the columns of money and time

FLAG_PERSON: Final = 1  # a personid was given
FLAG_RETURNING: Final = 2  # returning was given, and true
FLAG_RETURNING_GIVEN: Final = 4


def _field(name: str, kind: pa.DataType, why: str) -> pa.Field:
    return pa.field(name, kind, nullable=False, metadata={"why": why})


SCHEMA: Final = pa.schema(
    [
        _field("visitor", pa.binary(16), "UUID in network byte order: 128 bits are compared as two words"),
        _field("shop", pa.dictionary(pa.int32(), pa.utf8()), "few shops a batch: the kernel sees small integers"),
        _field("type", pa.uint8(), "code of relance.events.catalog"),
        _field("time", pa.int64(), "ms since 1970 UTC; int64 and not timestamp: kernels add and compare it"),
        _field("arrival", pa.int64(), "append time in the raw topic, ms; the smallest int64 where there is none"),
        _field(
            "event_hash",
            pa.uint64(),
            "of source and id: 64 bits keep 4 million ids apart (odds of a clash 1 in 2 million)",
        ),
        _field("cart_hash", pa.uint64(), "of the cart id; 0 where there is none"),
        _field("total_minor", pa.int64(), "data.total_minor; the smallest int64 where there is none"),
        _field(
            "value_minor",
            pa.int64(),
            "sum of quantity x price_minor of the items; the smallest int64 if one has no price",
        ),
        _field(
            "top_price_minor", pa.int64(), "highest price_minor of the items; the smallest int64 where there is none"
        ),
        _field("items", pa.int32(), "sum of quantities; 0 for an empty list, -1 without data.items"),
        _field(
            "currency", pa.uint16(), "ISO 4217 letters, 5 bits each, A = 1, first letter highest; 0 where there is none"
        ),
        _field("device", pa.uint8(), "1 desktop, 2 mobile, 3 tablet, 0 unknown"),
        _field("flags", pa.uint8(), "1 personid given, 2 returning is true, 4 returning is given"),
        _field("consent_granted", pa.uint16(), "one bit a channel of relance.events.catalog.CHANNELS"),
        _field("consent_denied", pa.uint16(), "one bit a channel: said not granted"),
        _field("product", pa.utf8(), "product_id of a product event; empty where there is none"),
        _field(
            "page", pa.utf8(), "data.page, else the path of data.url, at most 200 characters; empty where there is none"
        ),
        _field(
            "campaign", pa.utf8(), "data.campaign, else utm_campaign of data.url; at most 100 characters; empty: none"
        ),
    ],
    metadata={"relance.batch.version": str(VERSION)},
)
