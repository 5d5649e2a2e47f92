"""`relance law ask`: questions of law from standard input or a file, one JSON object a line; answers likewise."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from relance.cli.console import NOTES
from relance.kernel.errors import InputError, NotNow

__all__ = ["register"]

LINE_BYTES_MAX = 4_000_000  # longer than any question; beyond it the rest of the line is passed over
PATIENCE_S = 15.0  # for one answer of a server: longer than the server's own


def register(group: typer.Typer) -> None:
    """Add the command to the group `law`."""
    group.command(name="ask")(ask)


def ask(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Questions, one a line; without it or with - standard input.")
    ] = None,
    server: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Let a checkout service answer (its gRPC), not this program.")
    ] = "",
) -> None:
    """Answer questions of law: one JSON object a line, one answer a line on standard output.

    An ill-formed line gets an error with the field that is wrong; the others are still answered.

    The questions, of which docs/law.md says what each is given:

    withdrawal.deadline, withdrawal.decision,
    refund.amount, refund.due, refund.surcharge,
    delivery.latest, delivery.resolution,
    price.prior, totals, button.check, checkout.check,
    consent.derive, archive.until, renewal.window

    For example:

    {"ask": "delivery.latest", "concluded_at": "2026-03-02T10:00:00Z"}
    """
    import sys

    output = sys.stdout.buffer
    if file in {None, Path("-")} and sys.stdin.isatty():
        NOTES.print("One JSON question a line; Ctrl-D ends. `relance law ask --help` names the questions.")
    with _questions(file) as lines, _of_server(server) if server else _of_this_book() as answer:
        while line := lines.readline(LINE_BYTES_MAX):
            if not line.endswith(b"\n") and len(line) == LINE_BYTES_MAX:
                while (rest := lines.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                    pass
            output.write(answer(line) + b"\n")
            output.flush()


def _questions(file: Path | None) -> AbstractContextManager[BinaryIO]:
    import sys

    if file is None or file == Path("-"):
        return nullcontext(sys.stdin.buffer)
    try:
        return file.open("rb")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None


@contextmanager
def _of_this_book() -> Iterator[Callable[[bytes], bytes]]:
    from datetime import UTC, datetime

    from relance.rules.law.book import default_book
    from relance.rules.law.calendar import paris_date
    from relance.rules.law.questions import answer_line

    book = default_book()
    yield lambda line: answer_line(line, book, paris_date(datetime.now(UTC)))


@contextmanager
def _of_server(address: str) -> Iterator[Callable[[bytes], bytes]]:
    """Asks `LawService.Ask` at `address`. What it yields raises NotNow when there is no answer."""
    import grpc

    from relance.rpc.checkout.v1 import law_pb2, law_pb2_grpc

    with grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
        stub: Any = law_pb2_grpc.LawServiceStub(channel)

        def answer(line: bytes) -> bytes:
            try:
                return bytes(stub.Ask(law_pb2.AskRequest(question=line), timeout=PATIENCE_S).answer)
            except grpc.RpcError as error:
                raise NotNow(f"{address}: {error.details() or error.code().name}") from None

        yield answer
