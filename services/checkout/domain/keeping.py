"""What a law asks to keep of a person who wants to be erased: a contract under way, what is owed, the archive.

Invoices and credit notes are not among it: they are printed under keys of their own, and stay when he is erased.
"""

from collections.abc import Sequence
from typing import Final

from relance.rules.law.calendar import paris_date
from services.checkout.domain import contracts, looking, papers
from services.checkout.domain.aftercare import Aftercare, bounded
from services.checkout.domain.contracts import Contract
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import Order, owed_minor
from services.checkout.domain.outcomes import Refusal

__all__ = ["kept_by_law"]

_PERFORMED: Final = "RGPD 6(1)(b)"
_RULE: Final = "G09"
_INVOICES: Final = "G10"


def kept_by_law(
    order: Order, after: Aftercare | None, running: Sequence[Contract], setting: Setting
) -> Refusal | None:  # fmt: skip
    """Why the personal data of an order stay, None when nothing keeps them. `running`: the contracts it began.

    A contract that was concluded is archived even when it was cancelled, withdrawn from or lapsed: the law asks for the
    writing that states it, whatever became of it.
    """
    field = f"order.{order.id}"
    if order.state in looking.UNDER_WAY:
        return Refusal(field, "the contract is being performed: its address is needed", "", _PERFORMED)
    for one in running:
        if one.ended_on is None and contracts.ended_on(one, setting.on) is None:
            reason = f"contract {one.number} runs, and its consumer has to be told of each renewal"
            return Refusal(field, reason, "", _PERFORMED)
    if owed_minor(order) or (after is not None and looking.owes(order, after, setting)):
        return Refusal(field, "money, goods or an answer are still owed to him", "", "RGPD 6(1)(b), (c)")
    until = papers.kept_until(order, after or _bare(order), setting.book)
    if order.concluded_at is not None and until is not None and until >= setting.on:
        article = f"{setting.book.rule(_RULE, paris_date(order.concluded_at)).article}; RGPD 17(3)(b)"
        return Refusal(field, f"the contract must be archived until {until}", _RULE, article)
    if after is not None and papers.unprinted(order, bounded(after, setting.terms.since)):
        article = f"{setting.book.rule(_INVOICES, setting.on).article}; RGPD 17(3)(b)"
        return Refusal(field, "an invoice or a credit note is still to be printed", _INVOICES, article)
    return None


def _bare(order: Order) -> Aftercare:
    """The aftercare of an order that has none yet."""
    return Aftercare(id=str(order.id), checkout_id=order.checkout_id, opened_at=order.placed_at, sold=())
