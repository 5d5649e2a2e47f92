"""The records of a changelog: saved buckets, pieces, and the mark that a partition was once saved as a whole.

Key and value of each are made and read here and nowhere else. Keys carry the id of the *owner* that wrote them (one
for each time that a partition is restored) and the offset, so that nothing is ever overwritten: see `ledger`.
"""

from typing import Final

import msgspec

from relance.kernel.errors import Defect

__all__ = ["COMPLETE_KEY", "BucketEntry", "CompleteEntry", "Entry", "PieceEntry", "bucket_key", "decode", "encode",
           "owner_of", "piece_key"]  # fmt: skip

COMPLETE_KEY: Final = b"complete"


class BucketEntry(msgspec.Struct, frozen=True, array_like=True, tag="bucket.1"):
    """One bucket after the record at `offset`. It names the pieces that must be there to resume at that offset: the
    frames back from `framed_to`, the offset of the last record (its stream time is `framed_ms`) with which something
    came, as far as that is not expired; and of each whole kind the one piece whose `last` is in `wholes`.
    """

    index: int
    offset: int
    stream_ms: int
    framed_to: int
    framed_ms: int
    wholes: dict[str, int]
    value: bytes


class PieceEntry(msgspec.Struct, frozen=True, array_like=True, tag="piece.1"):
    """One piece. Those that are not whole are part `part` of `parts` of a frame: all that came with the records after
    `framed_from` up to `framed_to`; the stream times of these two are `framed_from_ms` and `framed_ms`.
    """

    kind: str
    first: int
    last: int
    stream_ms: int
    whole: bool
    framed_from: int
    framed_from_ms: int
    framed_to: int
    framed_ms: int
    part: int
    parts: int
    value: bytes


class CompleteEntry(msgspec.Struct, frozen=True, array_like=True, tag="complete.1"):
    """Each of the `buckets` buckets was saved at least once: from now on a missing one is a defect."""

    buckets: int


Entry = BucketEntry | PieceEntry | CompleteEntry

_decoder: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)
_encoder = msgspec.msgpack.Encoder()


def bucket_key(owner: str, index: int, offset: int) -> bytes:
    """The key of a bucket as an owner saved it after the record at `offset`: no two saves have the same."""
    return f"bucket/{owner}/{index:05d}/{offset:020d}".encode()


def piece_key(owner: str, entry: PieceEntry) -> bytes:
    """An owner's key of a piece: no two are equal."""
    whole = "whole" if entry.whole else "frame"
    return f"{whole}/{owner}/{entry.kind}/{entry.last:020d}/{entry.part}".encode()


def owner_of(key: bytes) -> bytes:
    """The id of the owner that wrote under `key` (not `COMPLETE_KEY`, which is all owners')."""
    return key.split(b"/")[1]


def encode(entry: Entry) -> bytes:
    """The value of a changelog record."""
    return _encoder.encode(entry)


def decode(key: bytes, value: bytes) -> Entry:
    """Raises Defect for what this version cannot read."""
    try:
        return _decoder.decode(value)
    except msgspec.DecodeError as error:
        raise Defect(f"changelog entry {key.decode(errors='replace')} cannot be read: {error}") from error
