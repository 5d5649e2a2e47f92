"""What belongs to a partition as a whole, as pieces of a checkpoint: definitions, and the ids seen."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relance.kernel.errors import Defect
from services.session.domain.compiled import DefinitionBook, Entry
from services.session.domain.interning import Interned
from services.session.domain.packing import pack, unpack, unpacked_bytes

__all__ = ["Run", "SeenPart", "decode_book", "decode_seen", "encode_book", "encode_seen", "ids_at_most"]

FORMAT: Final = 1
_ID_BYTES: Final = 12  # hash and shop


class _Book(msgspec.Struct, frozen=True):
    sequence: int
    default: Entry
    own: dict[str, Entry]


class Run(NamedTuple):
    """`ids` that came with one record."""

    offset: int
    stream_ms: int
    ids: int


class SeenPart(NamedTuple):
    """Ids in order of arrival: `hashes` and `shops` (numbers into `words`) of all runs, one after the other."""

    runs: Sequence[Run]
    hashes: NDArray[np.uint64]
    shops: NDArray[np.uint32]
    words: Sequence[str]


class _Head(msgspec.Struct, frozen=True):
    words: list[str]
    runs: list[tuple[int, int, int]]


def encode_book(book: DefinitionBook) -> bytes:
    """All definitions of a partition."""
    return pack(FORMAT, msgspec.json.encode(_Book(book.sequence, book.default, book.own)))


def decode_book(value: bytes, shops: Interned, names: Interned) -> DefinitionBook:
    """The inverse of `encode_book`. Raises Defect."""
    try:
        kept = msgspec.json.decode(unpack(FORMAT, value, "a piece"), type=_Book)
    except (msgspec.MsgspecError, pa.ArrowException, OSError, ValueError) as error:
        message = f"definitions in the checkpoint cannot be read: {error}"
        raise Defect(message) from error
    book = DefinitionBook(shops, names)
    book.sequence = kept.sequence
    book.default = kept.default
    book.own = dict(kept.own)
    return book


def encode_seen(runs: Iterable[Run], hashes: NDArray[np.uint64], shops: NDArray[np.uint32], words: list[str]) -> bytes:
    """Ids as a piece; `shops` are numbers into `words`."""
    present, numbers = np.unique(shops, return_inverse=True)
    head = msgspec.json.encode(
        _Head([words[shop] for shop in present], [(run.offset, run.stream_ms, run.ids) for run in runs])
    )
    numbers = numbers.astype(np.uint32)
    return pack(FORMAT, b"".join([len(head).to_bytes(4, "big"), head, hashes.tobytes(), numbers.tobytes()]))


def ids_at_most(value: bytes) -> int:
    """How many ids a piece may hold, without decoding it; a little more than it holds."""
    return unpacked_bytes(value) // _ID_BYTES


def decode_seen(value: bytes) -> SeenPart:
    """The inverse of `encode_seen`. Raises Defect."""
    try:
        body = unpack(FORMAT, value, "a piece")
        at = 4 + int.from_bytes(body[:4], "big")
        head = msgspec.json.decode(body[4:at], type=_Head)
        n = sum(ids for _, _, ids in head.runs)
        hashes = np.frombuffer(body, np.uint64, n, at)
        numbers = np.frombuffer(body, np.uint32, n, at + 8 * n)
    except (msgspec.MsgspecError, pa.ArrowException, OSError, ValueError) as error:
        message = f"seen ids in the checkpoint cannot be read: {error}"
        raise Defect(message) from error
    return SeenPart([Run(*run) for run in head.runs], hashes, numbers, head.words)
