"""Lines of a log and what is wrong with them."""

import csv
from collections.abc import Iterable, Iterator
from typing import Final

from relance.kernel.instants import format_ms, parse_ms

__all__ = ["GZIP", "PACKED", "LineError", "rows", "utc"]

GZIP: Final = b"\x1f\x8b"  # the first bytes of a file that is
PACKED: Final = "is packed with gzip: unpack it first"


class LineError(Exception):
    """A line is not of the format; the header is line 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"{line}: {reason}")
        self.line = line
        self.reason = reason


def rows(lines: Iterable[str], columns: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields of each row of a CSV file whose header names at least `columns`. Raises LineError."""
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        missing = [name for name in columns if name not in header]
        if missing:
            raise LineError(1, f"the header lacks {', '.join(missing)}")
        for row in reader:
            if len(row) == len(header):
                yield reader.line_num, dict(zip(header, row, strict=True))
            elif row:
                raise LineError(reader.line_num, f"{len(row)} fields, the header has {len(header)}")
    except csv.Error as error:
        raise LineError(reader.line_num, str(error)) from None


def utc(text: str) -> str:
    """A row's time, which has no zone and is UTC, as CloudEvents write it. Raises ValueError."""
    try:
        return format_ms(parse_ms(f"{text}+00:00"))
    except ValueError:
        raise ValueError(f"{text[:100]!r} is no time such as 2026-11-22 10:00:00") from None
