"""How values of a checkpoint are packed: a byte of format, four of the unpacked size, zstd."""

from typing import Final

import pyarrow as pa

from relance.kernel.errors import Defect

__all__ = ["pack", "unpack", "unpacked_bytes"]

_CODEC: Final = pa.Codec("zstd", compression_level=1)


def pack(form: int, body: bytes) -> bytes:
    """The value of a body of that format."""
    return bytes([form]) + len(body).to_bytes(4, "big") + _CODEC.compress(body, asbytes=True)


def unpacked_bytes(value: bytes) -> int:
    """How large the body of a value is, without unpacking it."""
    return int.from_bytes(value[1:5], "big")


def unpack(form: int, value: bytes, what: str) -> bytes:
    """The inverse of `pack`. Raises Defect for another format, and Arrow's errors for bytes that make no sense."""
    if value[:1] != bytes([form]):
        raise Defect(f"{what} of format {value[:1].hex() or 'nothing'}, this version reads {form}")
    body: bytes = _CODEC.decompress(value[5:], decompressed_size=unpacked_bytes(value), asbytes=True)
    return body
