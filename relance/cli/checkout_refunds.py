"""`relance checkout refunds`: what became of money on its way back, and what to do about a refund that failed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from relance.cli.console import NOTES, OUT
from relance.kernel.errors import InputError

__all__ = ["list_refunds", "redirect_refund", "retry_refund", "settle_refund"]

At = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_ADDRESS", help="gRPC of a checkout service.", metavar="HOST:PORT")
]
Token = Annotated[
    str, typer.Option(envvar="RELANCE_CHECKOUT_TOKEN", help="The shop's token.", show_default=False, show_envvar=True)
]
OrderId = Annotated[str, typer.Argument(help="The order's id.", metavar="ORDER")]
RefundId = Annotated[str, typer.Argument(help="The refund's id.", metavar="REFUND")]
_HERE = "127.0.0.1:8083"


def list_refunds(
    order: Annotated[str, typer.Option(help="Of this order; else of all.", metavar="ORDER")] = "",
    state: Annotated[
        str, typer.Option(help="requested, pending, failed, redirected; of one order also succeeded.", metavar="STATE")
    ] = "",
    token: Token = "",
    at: At = _HERE,
) -> None:
    """List refunds: those of an order, or all that failed and are still owed."""
    from rich.table import Table

    from relance.cli.checkout_calls import Caller
    from relance.rpc.checkout.v1 import checkout_pb2 as pb

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("order", "refund", "amount", "state", "goes to", "tries", "why it failed"):
        table.add_column(heading, justify="right" if heading in {"amount", "tries"} else "left")
    caller, after = Caller(at, token), ""
    while True:
        asked = pb.ListRefundsRequest(order_id=order, state=state, page_size=100, page_token=after)
        page = caller.call("ListRefunds", asked)
        for one in page.refunds:
            goes = one.means or one.paid_by
            table.add_row(
                one.order_id, one.id, f"{one.amount_minor / 100:.2f} EUR", one.state,
                f"{goes}, by hand" if one.by_hand else goes, str(one.tries), one.reason or "-",
            )  # fmt: skip
        after = page.next_page_token
        if not after:
            break
    OUT.print(table)


def retry_refund(order: OrderId, refund: RefundId, token: Token = "", at: At = _HERE) -> None:
    """Try a failed refund again, to the means that paid."""
    from relance.cli.checkout_calls import Caller
    from relance.rpc.checkout.v1 import checkout_pb2 as pb

    asked = pb.RetryRefundRequest(idempotency_key=str(uuid4()), order_id=order, refund_id=refund)
    _tell(Caller(at, token).call("RetryRefund", asked).order, refund)


def redirect_refund(
    order: OrderId,
    refund: RefundId,
    means: Annotated[str, typer.Option(help="bank_transfer, cheque, or one of the shop's means.", metavar="MEANS")],
    statement: Annotated[
        Path, typer.Option(help="A text file: what the consumer was asked and what he answered.", metavar="FILE")
    ],
    medium: Annotated[str, typer.Option(help="Where he said so: email, chat, letter, page, phone, shop.")],
    agreed_at: Annotated[str, typer.Option(help="When he said so, RFC 3339.", metavar="TIME")],
    purse: Annotated[str, typer.Option(help="The gift card or voucher that gets the money.", metavar="NUMBER")] = "",
    token: Token = "",
    at: At = _HERE,
) -> None:
    """Send a failed refund another way, which the consumer expressly agreed to; his words are kept as evidence."""
    from relance.cli.checkout_calls import Caller
    from relance.rpc.checkout.v1 import checkout_pb2 as pb

    try:
        words = statement.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{statement}: {getattr(error, 'strerror', None) or 'not a text in UTF-8'}") from None
    asked = pb.RedirectRefundRequest(
        idempotency_key=str(uuid4()), order_id=order, refund_id=refund, means=means, purse=purse,
        agreement=pb.Agreement(at=agreed_at, statement=words, medium=medium),
    )  # fmt: skip
    _tell(Caller(at, token).call("RedirectRefund", asked).order, refund)


def settle_refund(
    order: OrderId,
    refund: RefundId,
    sent_at: Annotated[str, typer.Option(help="When it was sent, RFC 3339; now when left out.", metavar="TIME")] = "",
    token: Token = "",
    at: At = _HERE,
) -> None:
    """Say that a refund was sent by hand: by transfer or by cheque."""
    from relance.cli.checkout_calls import Caller
    from relance.rpc.checkout.v1 import checkout_pb2 as pb

    sent = sent_at or datetime.now(UTC).isoformat()
    asked = pb.SettleRefundRequest(idempotency_key=str(uuid4()), order_id=order, refund_id=refund, sent_at=sent)
    _tell(Caller(at, token).call("SettleRefund", asked).order, refund)


def _tell(order: object, refund: str) -> None:
    for one in getattr(order, "refunds", ()):
        if one.id == refund:
            way = f" to {one.means}" if one.means else ""
            OUT.print(f"refund {one.id} of {one.amount_minor / 100:.2f} EUR is {one.state}{way}", markup=False)
            if one.by_hand and one.state != "succeeded":
                NOTES.print("send the money, then say so: `relance checkout refunds settle`")
