"""`relance checkout outbox`: messages of the checkout that Kafka refused for good, listed and offered again."""

import os
from typing import Annotated

import typer

from relance.cli.console import NOTES, OUT
from relance.kernel.errors import InputError

__all__ = ["list_outbox", "retry_outbox"]

At = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_ADDRESS", help="gRPC of a checkout service.", metavar="HOST:PORT")
]
_HERE = "127.0.0.1:8083"


def list_outbox(at: At = _HERE) -> None:
    """List what Kafka refused: too large, or not valid. Those behind them went on.

    Asks for the operator's token: RELANCE_CHECKOUT_OPERATOR_TOKEN, else that of the service started here.
    """
    from rich.table import Table

    from relance.cli.checkout_calls import Caller, environment_home, operator_token
    from relance.rpc.checkout.v1 import checkout_pb2 as pb

    caller = Caller(at, operator_token(os.environ, environment_home()))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("id", "topic", "key", "bytes", "refused", "why"):
        table.add_column(heading, justify="right" if heading in {"id", "bytes"} else "left")
    after = ""
    while True:
        page = caller.call("ListOutbox", pb.ListOutboxRequest(page_size=100, page_token=after))
        for one in page.messages:
            table.add_row(str(one.id), one.topic, one.key, str(one.size_bytes), one.refused_at, one.error)
        after = page.next_page_token
        if not after:
            break
    OUT.print(table)
    since = f", the oldest since {page.waiting_since}" if page.waiting else ""
    NOTES.print(f"{page.waiting} more wait to be said{since}")


def retry_outbox(
    ids: Annotated[list[int] | None, typer.Argument(help="Their ids.", metavar="ID...", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were refused.")] = False,
    at: At = _HERE,
) -> None:
    """Offer messages to Kafka again, once what it refused them for has changed."""
    from relance.cli.checkout_calls import Caller, environment_home, operator_token
    from relance.rpc.checkout.v1 import checkout_pb2 as pb

    if bool(ids) == every:
        raise InputError("name the messages, or say --all")
    caller = Caller(at, operator_token(os.environ, environment_home()))
    named, after = list(ids or ()), ""
    while every:
        page = caller.call("ListOutbox", pb.ListOutboxRequest(page_size=100, page_token=after))
        named += [one.id for one in page.messages]
        after = page.next_page_token
        if not after:
            break
    retried = 0
    for start in range(0, len(named), 1_000):
        retried += caller.call("RetryOutbox", pb.RetryOutboxRequest(ids=named[start : start + 1_000])).retried
    OUT.print(f"{retried} messages are offered again", markup=False)
