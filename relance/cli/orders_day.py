"""`relance orders run-day`: do what a day brings, of all shops, and show how far it is."""

import os
from typing import Annotated, Any, Final

import typer

from relance.cli.console import NOTES, OUT
from relance.kernel.errors import NotNow

__all__ = ["run_day"]

_HERE: Final = "127.0.0.1:8083"
_AT_ONCE: Final = 200
_SUMS: Final = "looked", "failed", "asked", "letters"


def run_day(
    at: Annotated[
        str, typer.Option("--at", envvar="RELANCE_CHECKOUT_ADDRESS", help="gRPC of a checkout service.",
                          metavar="HOST:PORT")
    ] = _HERE,
    as_of: Annotated[
        str, typer.Option("--as-of", help="An instant that has come, such as 2026-11-22T06:00:00Z; else now.",
                          metavar="INSTANT")
    ] = "",
) -> None:  # fmt: skip
    """Do all that is due: refunds asked for ahead of their date, letters, lateness noted, renewals announced.

    The service does the same by itself each minute; who runs it twice, or after it was broken off, does nothing twice.
    Asks for the operator's token: RELANCE_CHECKOUT_OPERATOR_TOKEN, else that of the service started here.
    """
    from relance.cli.checkout_calls import Caller, environment_home, operator_token
    from relance.rpc.checkout.v1 import aftercare_pb2 as pb

    done: dict[str, int] = dict.fromkeys(_SUMS, 0)
    with Caller(at, operator_token(os.environ, environment_home())) as caller, _bar() as bar:
        task = bar.add_task("the day's work", total=None)
        while True:
            answer = caller.aftercare("RunDay", pb.RunDayRequest(at=as_of, limit=_AT_ONCE))
            for name in _SUMS:
                done[name] += getattr(answer, name)
            over = done["looked"] + done["failed"]
            bar.update(task, completed=over, total=over + answer.left or 1)
            if not answer.left:
                break
    OUT.print(
        f"{done['looked']} orders looked at, {done['asked']} refunds asked for, {done['letters']} letters written; "
        f"then {answer.soon} sums are due soon and {answer.late} are late"
    )
    if done["failed"]:
        raise NotNow(f"{done['failed']} orders could not be looked at, and are put off an hour: see the service's log")


def _bar() -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=NOTES,
        transient=True, disable=not NOTES.is_terminal,
    )  # fmt: skip
