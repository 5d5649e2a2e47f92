"""What befalls the orders of a shop in a year, drawn from a seed: what was bought, how it comes or does not, what the
consumer states and when, how slow the shop is, and what the bank does with refunds.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Literal

from tests.reference.aftercare import PARIS, Thing

Coming = Literal["comes", "lost", "returned", "refused", "never", "unavailable", "cancelled"]
When = Literal["before", "within", "last", "out", "late"]
BANKS = ("goes", "fails", "returns")


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
    coming: Coming = rng.choices(
        ("comes", "lost", "returned", "refused", "never", "unavailable", "cancelled"), (80, 4, 3, 3, 4, 4, 2)
    )[0]
    return Plan(
        number=number,
        placed=placed,
        things=things,
        delivery=delivery,
        full_fee=full_fee,
        free_from=free_from,
        express=express,
        gift=rng.randrange(1, total) if rng.random() < 0.15 else 0,
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
    )


def _things(rng: Random, promised: date) -> dict[str, Thing]:
    things: dict[str, Thing] = {}
    for place in range(rng.choices((1, 2, 3), (60, 30, 10))[0]):
        quantity = rng.choices((1, 2, 3), (70, 20, 10))[0]
        unit = rng.randrange(199, 12000)
        net = unit * quantity - rng.choice([0, 0, 0, rng.randrange(0, 99)])
        things[str(place + 1)] = Thing("goods", quantity, net, unit, promised)
    if rng.random() < 0.08:
        price = rng.randrange(500, 20000)
        things["s"] = Thing("service", 1, price, price, promised, days=rng.choice([30, 90, 365]))
    if rng.random() < 0.08:
        price = rng.randrange(99, 5000)
        things["d"] = Thing("digital", 1, price, price, promised, waived=rng.random() < 0.6)
    if rng.random() < 0.06:
        price = rng.randrange(99, 3000)
        things["i"] = Thing("service", 1, price, price, promised, beside=frozenset({"1"}))
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
