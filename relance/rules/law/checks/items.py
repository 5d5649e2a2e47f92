"""The items of L221-5 I: which of them apply to a cart, and whether each has its value."""

from collections.abc import Iterator
from typing import NamedTuple

from relance.rules.law.document import Document

__all__ = ["Item", "applicable", "withdrawable"]


class Item(NamedTuple):
    """One item that applies; `field` leads to its value; `present`: the value is there."""

    name: str
    field: str
    present: bool


def withdrawable(document: Document) -> bool:
    """Whether any line can be withdrawn from. A shop without a cart sells such lines."""
    return not document.lines or any(line.exception is None or not line.exception_shown for line in document.lines)


def applicable(document: Document) -> Iterator[Item]:
    """The items that this cart demands, in the order of the article."""
    trader, legal, recap = document.trader, document.legal, document.recap
    for place, line in enumerate(document.lines):
        path = f"lines.{place}"
        dated = line.delivery_on is not None or line.delivery_days is not None
        yield Item("characteristics", f"{path}.characteristics", bool(line.characteristics))
        yield Item("delivery", f"{path}.delivery_on", dated)
        if line.kind != "service":
            yield Item("guarantees", f"{path}.legal_guarantee", bool(line.legal_guarantee))
        if line.exception is not None:
            yield Item("no_withdrawal", f"{path}.exception_shown", line.exception_shown)
        if not line.post_returnable and legal.return_cost_borne_by == "consumer":
            yield Item("return_cost", f"{path}.return_cost_minor", line.return_cost_minor is not None)
    yield Item("price", "recap.total_minor", recap is not None and recap.total_minor is not None)
    yield Item("trader", "trader", bool(trader.name and trader.address and trader.phone and trader.email))
    yield Item("mediator", "trader.mediator", bool(trader.mediator.name and trader.mediator.website))
    if withdrawable(document):
        told = legal.withdrawal_days is not None and bool(legal.withdrawal_form_sha256)
        yield Item("withdrawal", "legal.withdrawal_days", told)
        yield Item("withdrawal_function", "legal.withdrawal_function_url", bool(legal.withdrawal_function_url))
        if any(line.kind == "goods" for line in document.lines):
            yield Item("return_cost", "legal.return_cost_borne_by", bool(legal.return_cost_borne_by))
    if any(line.kind == "service" and line.early is not None for line in document.lines):
        yield Item("early_service", "recap.rendered", present=True)
    if recap is not None and (recap.personalised_price or any(coupon.scored for coupon in document.coupons)):
        yield Item("personalised_price", "recap.personalised_notice", bool(recap.personalised_notice))
