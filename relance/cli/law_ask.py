"""`relance law ask`: questions of law on standard input, one JSON object a line; answers on standard output."""

import typer

__all__ = ["register"]

LINE_BYTES_MAX = 4_000_000  # longer than any question; beyond it the rest of the line is passed over


def register(group: typer.Typer) -> None:
    """Add the command to the group `law`."""
    group.command(name="ask")(ask)


def ask() -> None:
    """Answer questions of law: one JSON object a line on standard input, one answer a line on standard output.

    An ill-formed line gets an error with the field that is wrong; the others are still answered.
    """
    import sys
    from datetime import UTC, datetime

    from relance.rules.law.book import default_book
    from relance.rules.law.calendar import paris_date
    from relance.rules.law.questions import answer_line

    book = default_book()
    output = sys.stdout.buffer
    while line := sys.stdin.buffer.readline(LINE_BYTES_MAX):
        if not line.endswith(b"\n") and len(line) == LINE_BYTES_MAX:
            while (rest := sys.stdin.buffer.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                pass
        output.write(answer_line(line, book, paris_date(datetime.now(UTC))) + b"\n")
        output.flush()
