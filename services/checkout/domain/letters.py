"""What letters about a withdrawal say, before anybody sets them: plain facts, so that the words stand in templates."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from relance.rules.law import refunds
from relance.rules.law.book import Book
from relance.rules.law.calendar import paris_date
from services.checkout.domain.aftercare import Aftercare, Channel, Due, LineDecision, SoldLine, Statement
from services.checkout.domain.orders import Order
from services.checkout.domain.restitution import source_of
from services.checkout.domain.rights import left_units
from services.checkout.domain.shops import Shop

__all__ = [
    "Acknowledgement", "Article", "Back", "CreditNote", "Decided", "DecidedLine", "LetterFacts", "Said",
    "acknowledgement", "bounded", "decided",
]  # fmt: skip


class Said(NamedTuple):
    """What a consumer said: his name, his words, how he names the contract, where he wants to be answered."""

    name: str = ""
    text: str = ""
    reference: str = ""
    address: str = ""


_NAME_MAX: Final = 200
_REFERENCE_MAX: Final = 200
_TEXT_MAX: Final = 500
# A dot before a letter of the same word, and what follows a scheme: programs that show mail make links of these.
_LINKED: Final = re.compile(r"(?<=[^\s.])[.\u3002\uff0e\uff61](?=[^\W\d_])|(?<=:)(?=//)")


def bounded(said: Said) -> Said:
    """What is repeated to an address that is known from nothing but the statement: enough to know it again by (L221-21,
    D221-5), in a length that carries nobody else's message, and nothing of it a link. The whole of it is on record.
    """
    return said._replace(
        name=_plain(said.name, _NAME_MAX), reference=_plain(said.reference, _REFERENCE_MAX),
        text=_plain(said.text, _TEXT_MAX),
    )  # fmt: skip


def _plain(text: str, most: int) -> str:
    cut = text if len(text) <= most else f"{text[:most]}…"
    return _LINKED.sub(lambda dot: f"{dot[0]} ", cut)


class Article(NamedTuple):
    """Units of what was ordered."""

    name: str
    units: int


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as it came. `articles`: those it is about, `whole` when these are all that is left of the order;
    `received_at` is None where it was known the moment it was sent. Without an order: `order_number` is empty.
    """

    kind: Literal["acknowledgement"] = "acknowledgement"
    number: str
    channel: Channel
    stated_at: datetime
    received_at: datetime | None
    said: Said
    articles: tuple[Article, ...] = ()
    whole: bool = True
    order_number: str = ""
    placed_at: datetime | None = None


class DecidedLine(NamedTuple):
    """What a statement achieves for one line. `already`: nothing of it was left to withdraw from."""

    name: str
    units: int
    outcome: str
    article: str
    last_day: date | None
    exception: int | None
    already: bool
    anyway: bool


class Back(NamedTuple):
    """Money that goes back. `due_on`: None while the goods may still be waited for, then `earliest_on` is the day
    before which it is never late.
    """

    goods_minor: int
    delivery_minor: int
    service_kept_minor: int
    amount_minor: int
    due_on: date | None
    earliest_on: date


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from a statement. `return_by`: until when goods are sent back, None when none are; `borne_by`: who
    pays that; `return_costs`: what it costs where goods cannot go by post; `digital`: content that ends.
    """

    kind: Literal["decided"] = "decided"
    number: str
    order_number: str
    stated_at: datetime
    lines: tuple[DecidedLine, ...]
    back: tuple[Back, ...]
    return_by: date | None = None
    return_to: str = ""
    collected: bool = False
    borne_by: Literal["trader", "consumer"] = "trader"
    return_costs: tuple[tuple[str, int], ...] = ()
    digital: tuple[str, ...] = ()

    @property
    def total_minor(self) -> int:
        """All that goes back for this statement."""
        return sum(one.amount_minor for one in self.back)

    @property
    def disputed(self) -> bool:
        """Whether something was not accepted, so that the reader must know whom to turn to."""
        return any(one.outcome in {"late", "excepted"} for one in self.lines)


class CreditNote(msgspec.Struct, frozen=True, kw_only=True):
    """A credit note that goes with the letter. `invoice`: the number of the one that it corrects."""

    kind: Literal["credit_note"] = "credit_note"
    number: str
    invoice: str
    amount_minor: int
    order_number: str


class LetterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A letter to be set: from which shop, in which language, about what. `url`: the order's page, if there is one."""

    shop: Shop
    language: str
    about: Acknowledgement | Decided | CreditNote
    url: str = ""


def acknowledgement(order: Order, after: Aftercare, statement: Statement, said: Said) -> Acknowledgement:
    """The statement of an order, as it is acknowledged: what it says, and nothing that is decided of it."""
    names = {line.id: line.name for line in order.lines}
    units = {line_id: count for line_id, count in statement.units.items() if count} or statement.units
    left = _left_before(order, statement)
    return Acknowledgement(
        number=statement.id[:8],
        channel=statement.channel,
        stated_at=statement.stated_at,
        received_at=None if statement.received_at == statement.stated_at else statement.received_at,
        said=said,
        articles=tuple(Article(names.get(line_id, line_id), count) for line_id, count in units.items()),
        whole=all(units.get(line_id, 0) >= count for line_id, count in left.items()),
        order_number=after.id[:8],
        placed_at=order.placed_at,
    )


def decided(order: Order, after: Aftercare, statement: Statement, shop: Shop, book: Book) -> Decided:
    """What a statement achieves: line by line, in money, and what is to be done with the goods."""
    sold = {line.id: line for line in after.sold}
    dues = [due for due in after.dues if due.source == source_of(statement) and due.amount_minor]
    goods_back = _goods_with_consumer(dues, sold)
    stated_on = paris_date(statement.stated_at)
    days: int = book.rule("B16", paris_date(order.concluded_at or order.placed_at)).parameters["return_days"]
    accepted = [one.line_id for one in statement.decisions if one.outcome in {"accepted", "ancillary"} and one.units]
    return Decided(
        number=statement.id[:8],
        order_number=after.id[:8],
        stated_at=statement.stated_at,
        lines=tuple(_line(one, sold, statement) for one in statement.decisions),
        back=tuple(_back(due, book) for due in dues),
        return_by=stated_on + timedelta(days=days) if goods_back else None,
        return_to=shop.aftercare.return_address or f"{shop.trader.name}, {shop.trader.address}",
        collected=shop.aftercare.collects_returns,
        borne_by="consumer" if _borne_by(after, shop) == "consumer" else "trader",
        return_costs=tuple(
            (sold[line_id].name, cost)
            for line_id in goods_back
            if line_id in sold and (cost := sold[line_id].return_cost_minor) is not None
        ),
        digital=tuple(sold[line_id].name for line_id in accepted if line_id in sold and _is_digital(sold[line_id])),
    )


def _borne_by(after: Aftercare, shop: Shop) -> str:
    """Who pays the return: what the contract said; what the shop says, of an order that is older than that is kept."""
    return after.return_cost_borne_by or shop.legal.return_cost_borne_by


def _left_before(order: Order, statement: Statement) -> dict[str, int]:
    """What was left of the order when the statement was made: it may count already."""
    moved = {one.line_id: one.units for one in statement.decisions if one.moved}
    still = left_units(order)
    return {line.id: still[line.id] + moved.get(line.id, 0) for line in order.lines}


def _line(one: LineDecision, sold: Mapping[str, SoldLine], statement: Statement) -> DecidedLine:
    name = sold[one.line_id].name if one.line_id in sold else one.line_id
    anyway = statement.anyway_at is not None and one.outcome == "accepted" and not one.rule
    return DecidedLine(
        name, one.units, one.outcome, one.article, one.last_day, one.exception, already=not one.units, anyway=anyway
    )  # fmt: skip


def _goods_with_consumer(dues: list[Due], sold: Mapping[str, SoldLine]) -> list[str]:
    """Lines of which goods left and did not come back yet."""
    held = (line_id for due in dues if due.shipped and due.recovered_on is None for line_id in due.units)
    return [line_id for line_id in dict.fromkeys(held) if line_id not in sold or sold[line_id].kind == "goods"]


def _back(due: Due, book: Book) -> Back:
    def on(*, shipped: bool) -> date | None:
        return refunds.due_on(
            due.notice_on, recovered_on=due.recovered_on, dispatched_on=due.dispatched_on, shipped=shipped,
            collection_offered=due.collection_offered, law=(book, due.notice_on),
        )  # fmt: skip

    earliest = on(shipped=False)
    assert earliest is not None  # what did not leave is not waited for
    return Back(
        due.goods_minor, due.delivery_minor, due.service_kept_minor, due.amount_minor, on(shipped=due.shipped), earliest
    )  # fmt: skip


def _is_digital(line: SoldLine) -> bool:
    return line.kind == "digital"
