"""What befalls the orders of a shop in a year, drawn from a seed: what was bought, how it comes or does not, what the
consumer states and when, what he finds wrong with it later, what he subscribed to and when he leaves, how slow the
shop is, and what the bank does with refunds.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Literal

from tests.reference.aftercare import Thing
from tests.reference.days import PARIS

Coming = Literal[
    "comes", "lost", "damaged", "returned", "refused", "found", "own_carrier", "never", "unavailable", "cancelled",
]  # fmt: skip
When = Literal["before", "within", "last", "out", "late"]
Asked = Literal["repair", "replacement", "reduction", "resolution"]
Answer = Literal["repaired", "replaced", "reduced", "resolved", "refused", "none"]
Leave = Literal["never", "any", "trial_last", "trial_out", "refusal_last", "refusal_out", "renewed"]
ARCHIVED = 12000
COMING: dict[Coming, int] = {
    "comes": 76, "lost": 3, "damaged": 2, "returned": 3, "refused": 3, "found": 2, "own_carrier": 1, "never": 4,
    "unavailable": 4, "cancelled": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Said:
    """A statement. `when`: before it is shipped; within the period; its last second; the first instant out; later.
    `letter_days`: how long it takes to arrive; `back`: what happens to the goods then; `part`: of the units.
    """

    when: When
    days: int
    letter_days: int
    back: Literal["returned", "proven", "both", "kept"]
    back_days: int
    part: bool


@dataclass(frozen=True)
class Flaw:
    """A claim. `when`: so many days after receipt, or in the last second of the guarantee, or right after it. `more`:
    postage that is told later; `percent`: of the price, by which it is reduced; `again`: what was refused is taken.
    """

    when: Literal["within", "last", "out"]
    days: int
    units: int
    asked: Asked
    taken_days: int
    postage: int
    more: int
    away: bool
    answer: Answer
    answer_days: int
    percent: int
    again: bool


@dataclass(frozen=True)
class Terms:
    """A subscription. `held_up`: days by which the shop's daily job is late once; `bounces`: notices that do not
    arrive, each after how many days that is known; `again_days`: until he notifies once more that he leaves; `wish`:
    how many days ahead; `advances`: day of payment after the conclusion, day on which the shop tells of it after that,
    first day paid for, days, cents.
    """

    trial: int
    months: int
    tacit: bool
    refusal: int
    notice: int
    minimum: int
    held_up: int
    bounces: tuple[int, ...]
    leave: Leave
    leave_days: int
    again_days: int
    wish: int | None
    advances: tuple[tuple[int, int, int, int, int], ...]


@dataclass(frozen=True)
class Habits:
    """How money goes otherwise. `hand_days`: until the shop pays what no refund brings; `gives`: what it gives back of
    itself, for the reason that is owed or for none; `agrees`: another way that the consumer chooses.
    """

    hand_days: int
    parts: int
    by_hand: bool
    gives: Literal["", "named", "goodwill"]
    gives_days: int
    agrees: Literal["", "voucher", "transfer"]


@dataclass(frozen=True)
class Plan:
    """An order and what is to befall it. Days count from what they follow."""

    number: int
    placed: datetime
    things: dict[str, Thing]
    delivery: int
    full_fee: int
    free_from: int | None
    express: bool
    gift: int
    automatic: bool
    informed: Literal["yes", "never", "late"]
    coming: Coming
    ship_days: int
    travel_days: int
    boxes: int
    extra_days: int
    essential: bool
    statements: tuple[Said, ...]
    slow_days: int
    voucher: int
    flaws: tuple[Flaw, ...]
    terms: Terms | None
    habits: Habits


def instant(rng: Random, day: date) -> datetime:
    """A second of a Paris day, whatever its length."""
    seconds = rng.randrange(24 * 3600)
    return datetime.combine(day, time(), tzinfo=PARIS) + timedelta(seconds=seconds)


def drawn(seed: int, number: int, first: date) -> Plan:
    """The plan of an order of the year that begins on `first`."""
    rng = Random(f"{seed}/{number}")
    placed = instant(rng, first + timedelta(days=rng.randrange(365)))
    promised = placed.date() + timedelta(days=rng.choice([2, 3, 5, 8, 30]))
    things = _things(rng, promised)
    worth = sum(one.unit * one.quantity for one in things.values() if one.kind == "goods")
    express, free_from = rng.random() < 0.2, rng.choice([None, 6000, 12000])
    full_fee = 490
    fee = 0 if free_from is not None and worth >= free_from else full_fee
    delivery = 0 if not worth else 1290 if express else fee
    total = sum(one.net for one in things.values()) + delivery
    coming: Coming = rng.choices(tuple(COMING), tuple(COMING.values()))[0]
    gift = rng.randrange(1, total) if rng.random() < 0.15 else 0
    plan = Plan(
        number=number,
        placed=placed,
        things=things,
        delivery=delivery,
        full_fee=full_fee,
        free_from=free_from,
        express=express,
        gift=gift,
        automatic=rng.random() < 0.8,
        informed=rng.choices(("yes", "never", "late"), (94, 3, 3))[0],
        coming=coming,
        ship_days=rng.randrange(0, 5),
        travel_days=rng.randrange(1, 5),
        boxes=rng.choice([1, 1, 1, 2]),
        extra_days=rng.randrange(1, 15),
        essential=rng.random() < 0.1,
        statements=tuple(_said(rng) for _ in range(rng.choices((0, 1, 2, 3), (50, 35, 12, 3))[0])),
        slow_days=rng.randrange(0, 200),
        voucher=rng.randrange(1, total - gift) if total - gift > 1 and rng.random() < 0.05 else 0,
        flaws=tuple(_flaw(rng) for _ in range(rng.choices((0, 1, 2, 3), (82, 10, 5, 3))[0])),
        terms=_terms(rng) if "m" in things else None,
        habits=Habits(
            hand_days=rng.choice([0, rng.randrange(0, 80)]),
            parts=rng.choice([1, 1, 2]),
            by_hand=rng.random() < 0.15,
            gives=rng.choices(("", "named", "goodwill"), (90, 6, 4))[0],
            gives_days=rng.randrange(0, 40),
            agrees=rng.choices(("", "voucher", "transfer"), (88, 7, 5))[0],
        ),
    )
    if plan.terms is not None and rng.random() < 0.1:
        return _left_and_withdrawn(rng, plan, plan.terms)
    return _claimed_and_withdrawn(rng, plan) if rng.random() < 0.03 else plan


def _left_and_withdrawn(rng: Random, plan: Plan, terms: Terms) -> Plan:
    """What is owed of an advance waits for the shop's hand, while the order itself ends before anything has left."""
    at_once = replace(
        terms, trial=0, months=0, notice=0, minimum=0, leave="any", leave_days=0, wish=None,
        advances=((0, 0, 0, 30, rng.randrange(99, 9000)),),
    )  # fmt: skip
    said = replace(_said(rng), when="before", days=9, part=False, letter_days=0)
    habits = replace(plan.habits, hand_days=40)
    return replace(plan, coming="never", statements=(said,), terms=at_once, habits=habits, informed="yes")


def _claimed_and_withdrawn(rng: Random, plan: Plan) -> Plan:
    """A claim about all units, some of which are withdrawn before it is answered."""
    answer: Answer = rng.choice(["reduced", "resolved"])
    flaw = replace(_flaw(rng), when="within", days=0, units=9, taken_days=1, answer=answer, answer_days=20)
    said = replace(_said(rng), when="within", days=rng.randrange(2, 12), part=True)
    return replace(plan, coming="comes", informed="yes", flaws=(flaw,), statements=(said,))


def _things(rng: Random, promised: date) -> dict[str, Thing]:
    things: dict[str, Thing] = {}
    for place in range(rng.choices((1, 2, 3), (60, 30, 10))[0]):
        quantity = rng.choices((1, 2, 3), (70, 20, 10))[0]
        unit = rng.randrange(199, 12000)
        net = unit * quantity - rng.choice([0, 0, 0, rng.randrange(0, 99)])
        things[str(place + 1)] = Thing("goods", quantity, net, unit, promised)
    if rng.random() < 0.03:  # both sides of what is archived
        one = things["1"]
        rest = sum(other.net for id_, other in things.items() if id_ != "1")
        price = ARCHIVED - rng.choice([0, 1, 490, 491]) - rest
        if price > 0:
            things["1"] = Thing("goods", one.quantity, price, max(1, price // one.quantity), promised)
    if rng.random() < 0.08:
        price = rng.randrange(500, 20000)
        days, full = rng.choice([30, 90, 365]), rng.random() < 0.5
        things["s"] = Thing("service", 1, price, price, promised, days=days, full=full)
    if rng.random() < 0.04:
        price = rng.randrange(500, 9000)
        things["w"] = Thing("service", 1, price, price, promised, full=rng.random() < 0.6)
    if rng.random() < 0.08:
        price = rng.randrange(99, 5000)
        things["d"] = Thing("digital", 1, price, price, promised, waived=rng.random() < 0.6)
    if rng.random() < 0.06:
        price = rng.randrange(99, 3000)
        beside = frozenset({"1", "2"} if "2" in things and rng.random() < 0.5 else {"1"})
        things["i"] = Thing("service", 1, price, price, promised, beside=beside, days=rng.choice([0, 365]))
    if rng.random() < 0.08:
        price = rng.choice([0, rng.randrange(99, 3000)])
        things["m"] = Thing("service", 1, price, price, promised, runs=True)
    return things


def _said(rng: Random) -> Said:
    when: When = rng.choices(("before", "within", "last", "out", "late"), (12, 60, 10, 10, 8))[0]
    return Said(
        when=when,
        days=rng.randrange(0, 13),
        letter_days=rng.choice([0, 0, 0, 1, 3, 6]),
        back=rng.choices(("returned", "proven", "both", "kept"), (65, 10, 15, 10))[0],
        back_days=rng.randrange(0, 40),
        part=rng.random() < 0.4,
    )


def _flaw(rng: Random) -> Flaw:
    when: Literal["within", "last", "out"] = rng.choices(("within", "last", "out"), (70, 20, 10))[0]
    answer: Answer = rng.choices(
        ("repaired", "replaced", "reduced", "resolved", "refused", "none"), (34, 14, 16, 16, 14, 6)
    )[0]
    return Flaw(
        when=when,
        days=rng.choice([rng.randrange(0, 30), rng.randrange(0, 500)]),
        units=rng.choice([1, 1, 2, 9]),
        asked=rng.choice(["repair", "replacement", "reduction", "resolution"]),
        taken_days=rng.randrange(0, 12),
        postage=rng.choice([0, rng.randrange(100, 2500)]),
        more=rng.choice([0, 0, rng.randrange(1, 900)]),
        away=rng.random() < 0.6,
        answer=answer,
        answer_days=rng.choice([rng.randrange(0, 28), rng.randrange(25, 35), rng.randrange(0, 90)]),
        percent=rng.choice([10, 30, 50, 100]),
        again=rng.random() < 0.3,
    )


def _terms(rng: Random) -> Terms:
    months, tacit = rng.choice([0, 1, 3, 6, 12, 12, 24]), rng.random() < 0.75
    leave: Leave = rng.choices(
        ("never", "any", "trial_last", "trial_out", "refusal_last", "refusal_out", "renewed"),
        (20, 25, 5, 5, 15, 15, 15),
    )[0]
    return Terms(
        trial=rng.choice([0, 0, 14, 30]),
        months=months,
        tacit=tacit,
        refusal=rng.choice([0, 1, 30, 31]),
        notice=rng.choice([0, 30]),
        minimum=rng.choice([0, 0, 3, 12]),
        held_up=rng.choices((0, rng.randrange(1, 100)), (75, 25))[0],
        bounces=tuple(rng.choice([0, 1, 3, 6, 7, 9, 40]) for _ in range(rng.choices((0, 1, 2, 9), (70, 20, 5, 5))[0])),
        leave=leave,
        leave_days=rng.randrange(0, 700),
        again_days=rng.choice([0, 0, rng.randrange(1, 200)]),
        wish=rng.choices((None, rng.randrange(0, 60)), (70, 30))[0],
        advances=tuple(_advance(rng) for _ in range(rng.choice([0, 1, 3]))),
    )


def _advance(rng: Random) -> tuple[int, int, int, int, int]:
    paid = rng.randrange(0, 800)
    first, days = max(0, paid + rng.randrange(-5, 60)), rng.choice([28, 30, 31, 90, 365])
    return paid, rng.choice([0, 0, 1, 40]), first, days, rng.randrange(99, 12000)
