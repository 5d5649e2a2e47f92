"""Bodies: read within a limit, inflated within a limit, cut into the bytes of single events without decoding them."""

import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from services.tracking.api.problems import Refused

__all__ = ["BATCH", "JSON_KINDS", "NDJSON", "SINGLE", "Gone", "Slice", "inflate", "read", "split"]

SINGLE: Final = b"application/cloudevents+json"
BATCH: Final = b"application/cloudevents-batch+json"
NDJSON: Final = b"application/x-ndjson"
JSON_KINDS: Final = (SINGLE, BATCH, NDJSON)

Receive = Callable[[], Awaitable[Any]]
Slice = bytes | msgspec.Raw

_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_GZIP: Final = 31  # zlib's word for a gzip frame with the largest window


class Gone(Exception):  # noqa: N818 - nobody is there to be told
    """The client left before its body was complete."""


async def read(receive: Receive, bytes_max: int) -> bytes:
    """The whole body of a request. Raises Refused (413) as soon as it is beyond `bytes_max`, Gone when
    the client left.
    """
    message = await receive()
    if message["type"] != "http.request":
        raise Gone("the client left")
    body: bytes = message["body"]
    if message.get("more_body"):
        chunks, size = [body], len(body)
        while message.get("more_body") and size <= bytes_max:
            message = await receive()
            if message["type"] != "http.request":
                raise Gone("the client left")
            chunks.append(message["body"])
            size += len(message["body"])
        body = b"".join(chunks)
    if len(body) > bytes_max:
        raise Refused(413, f"the body is larger than {bytes_max} bytes")
    return body


def inflate(body: bytes, bytes_max: int) -> bytes:
    """The content of a gzip body, of one member or several; never holds more than `bytes_max` + 1 bytes of it.

    Raises Refused: 413 beyond `bytes_max`, 400 when it is no gzip or cut short.
    """
    parts: list[bytes] = []
    left, rest = bytes_max + 1, body
    while rest:
        member = zlib.decompressobj(wbits=_GZIP)
        try:
            part = member.decompress(rest, left)
        except zlib.error as error:
            raise Refused(400, f"the body is not gzip: {error}") from None
        parts.append(part)
        left -= len(part)
        if left <= 0:
            raise Refused(413, f"the body inflates to more than {bytes_max} bytes")
        if not member.eof:
            raise Refused(400, "the gzip body is cut short")
        rest = member.unused_data
    if not parts:
        raise Refused(400, "the gzip body is empty")
    return b"".join(parts)


def split(kind: bytes, body: bytes, events_max: int) -> Sequence[Slice]:
    """The bytes of each event; slices of a batch share the body's memory.

    Raises Refused: 400 when the body is no JSON array (BATCH), 413 beyond `events_max`. What is inside an event is not
    looked at: each may still turn out to be bad JSON by itself (NDJSON, SINGLE) or a bad event.
    """
    values: Sequence[Slice]
    if kind == SINGLE:
        values = (body,)
    elif kind == NDJSON:
        values = [line for line in body.split(b"\n") if line and not line.isspace()]
    else:
        try:
            values = _ARRAY.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(400, f"the body is not a JSON array of events: {error}") from None
    if len(values) > events_max:
        raise Refused(413, f"the body holds {len(values)} events, at most {events_max} are taken")
    return values
