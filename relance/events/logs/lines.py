"""Lines of a log and what is wrong with them."""

import csv
from collections.abc import Iterable, Iterator

__all__ = ["LineError", "rows"]


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
