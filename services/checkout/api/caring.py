"""What the calls of AftercareService share: the order they are about, what was done about it once, and a few forms."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, Final, TypeVar
from uuid import UUID

import grpc

from services.checkout.api.aftercare_messages import to_aftercare
from services.checkout.api.calls import Context
from services.checkout.api.following import PAGE, PAGE_MAX
from services.checkout.api.messages import read_day
from services.checkout.api.pages.bounds import NAME_MAX, SAID_MAX
from services.checkout.api.reading import read_id
from services.checkout.api.refusals import Refused, by_law, invalid, missing
from services.checkout.api.serving import Serving
from services.checkout.api.tokens import Caller
from services.checkout.application.aftercaring import AfterView
from services.checkout.domain.addresses import is_email
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.statements import unknown_line

__all__ = [
    "MEDIA", "Caring", "a_day", "mailed_to", "named", "needed_day", "one_of", "order_of", "page", "said", "units_of",
    "wrong",
]  # fmt: skip

Answer = TypeVar("Answer", bound=Any)  # a response that holds an aftercare
Act = Callable[[Caller, AfterView], Awaitable[AfterView | Refusal]]

MEDIA: Final = frozenset({"chat", "email", "letter", "page", "phone", "shop"})


class Caring(Serving):
    """A part of AftercareService."""

    async def _aftercare(self, caller: Caller, order_id: str) -> AfterView:
        """Raises Refused, NOT_FOUND, for what is not this shop's."""
        found = await self._desk.aftercare(caller.shop, read_id(order_id, "order_id"))
        if isinstance(found, Refusal):
            raise missing("order", order_id)
        return found

    async def _cared(
        self, method: str, request: Any, context: Context, act: Act, kind: type[Answer]
    ) -> Answer:  # fmt: skip
        """The aftercare after an act, done once for an idempotency key."""

        async def work(caller: Caller) -> Answer | Refusal:
            async def do() -> Answer | Refusal:
                view = await self._aftercare(caller, request.order_id)
                done = await act(caller, view)
                return done if isinstance(done, Refusal) else kind(aftercare=to_aftercare(done))

            return await self._calls.once(method, caller, request, do, kind)

        return await self._calls.answer(method, context, work)


def order_of(view: AfterView) -> UUID:
    """The id of its order."""
    return view.order_view.order.id


def needed_day(text: str, field: str) -> date:
    """An ISO date that must be there."""
    found = a_day(text, field)
    if found is None:
        raise invalid(field, "is missing: an ISO date")
    return found


def a_day(text: str, field: str) -> date | None:
    """An ISO date of our times, None for none: what is counted from it stays within the calendar."""
    found = read_day(text, field)
    if found is not None and not 1970 <= found.year < 2200:
        raise invalid(field, "a date of the years 1970 to 2199")
    return found


def units_of(units: Any, order: Order) -> dict[str, int]:
    """Units by line, of lines that the order has."""
    found = dict(units)
    if (refused := unknown_line(order, found)) is not None:
        raise wrong(refused)
    return found


def said(text: str, field: str) -> str:
    """A consumer's words, as they came: as many as his own page takes."""
    if len(text) > SAID_MAX:
        raise invalid(field, f"at most {SAID_MAX} letters")
    return text


def named(name: str) -> str:
    """A consumer's name, as he gave it."""
    if len(name) > NAME_MAX:
        raise invalid("name", f"at most {NAME_MAX} letters")
    return name


def mailed_to(address: str, field: str) -> str:
    """An address that letters can go to, or none."""
    found = address.strip()
    if found and not is_email(found):
        raise invalid(field, "is no address of electronic mail: name@example.org, and nothing beside it")
    return found


def wrong(refused: Refusal) -> Refused:
    """A refusal of what the request itself says: INVALID_ARGUMENT, with the rule where there is one."""
    return by_law(refused, grpc.StatusCode.INVALID_ARGUMENT)


def page(size: int) -> int:
    """How many a page shows."""
    if size > PAGE_MAX:
        raise invalid("page_size", f"at most {PAGE_MAX}")
    return size or PAGE


def one_of(text: str, known: frozenset[str], field: str, otherwise: str = "") -> str:
    """One of the known words; `otherwise` for none."""
    found = text or otherwise
    if found not in known:
        raise invalid(field, f"one of {', '.join(sorted(known))}")
    return found
