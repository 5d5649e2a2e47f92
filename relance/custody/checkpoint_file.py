"""The log of checkpoints as a file: a line each, on disk before it counts, one writer at a time."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from relance.custody.secret_files import sync_directory
from relance.evidence.checkpoints import Checkpoint, decode, encode
from relance.evidence.entries import NOTHING
from relance.kernel.errors import NotNow

__all__ = ["CheckpointFile", "read_lines", "stream_lines"]

_BLOCK_BYTES: Final = 65_536
_CUT: Final = b" cut short"  # ends a line whose writer died; it cannot be removed where a file only grows


class CheckpointFile:
    """A `CheckpointSink` on a local or mounted disk. The file and its directory are made by the first checkpoint.

    For a keeper that the database's administrators cannot change, let its directory be on another machine, or its
    file append-only (`chattr +a`): nothing here ever rewrites a line that was whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def last(self) -> Checkpoint | None:
        """The newest checkpoint, None before the first. Raises InputError when its line is not one, and OSError."""
        if not self._path.exists():
            return None
        with self._path.open("rb") as file:
            line = _last_line(file)
        return decode(line) if line else None

    def append(self, checkpoint: Checkpoint) -> None:
        """Write a line and wait for the disk. Raises NotNow when another writer was first, and OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not self._path.exists()
        with self._path.open("ab+") as file, _locked(file):
            newest = decode(line) if (line := _last_line(file)) else None
            follows = (newest.header.number + 1, newest.hash) if newest is not None else (1, NOTHING)
            if (checkpoint.header.number, checkpoint.header.prior) != follows:
                raise NotNow(f"checkpoint {checkpoint.header.number} does not follow the newest; seal again")
            file.write((b"" if _ends_whole(file) else _CUT + b"\n") + encode(checkpoint) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            sync_directory(self._path.parent)

    def lines(self) -> Sequence[bytes]:
        """All lines, oldest first. Raises OSError."""
        return read_lines(self._path.read_bytes()) if self._path.exists() else ()


def read_lines(data: bytes) -> tuple[bytes, ...]:
    """The lines of a log that count: not a last one without its end, which was being written, nor one that a crash cut
    short. Nobody was told that these were kept; that none is missing shows in the links of the others.
    """
    return tuple(line for line in data.split(b"\n")[:-1] if not line.endswith(_CUT))


def stream_lines(path: Path) -> Iterator[bytes]:
    """The same of a file, one line in memory at a time. Raises OSError."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n") and not line.endswith(_CUT + b"\n"):
                yield line[:-1]


@contextmanager
def _locked(file: BinaryIO) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _last_line(file: BinaryIO) -> bytes:
    """The last line that counts, read from the end: a log of years is long. Empty when there is none."""
    position = file.seek(0, os.SEEK_END)
    tail = b""
    while position > 0:
        step = min(_BLOCK_BYTES, position)
        position -= step
        file.seek(position)
        tail = file.read(step) + tail
        # the first piece may lack its beginning, until the file's beginning is reached
        lines = read_lines(tail) if position == 0 else read_lines(tail.partition(b"\n")[2])
        if lines:
            return lines[-1]
    return b""


def _ends_whole(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
