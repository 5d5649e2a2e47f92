"""Two years of a shop in a minute: ten thousand orders with all that befalls them, the clock moved from Paris midnight
to Paris midnight, against an oracle that knows nothing but the texts. No date is missed, and no cent.
"""

import gc
import itertools
import os
import time
from datetime import date
from typing import Final

from services.checkout.domain.aftercare import Due
from services.checkout.domain.dues import standings
from services.checkout.domain.orders import kept_minor, on_its_way
from tests.properties.two_years import FIRST, Clock, Life
from tests.reference.aftercare import Debt
from tests.reference.plans import drawn

ORDERS: Final = int(os.environ.get("RELANCE_ORDERS", "10000"))
SEED: Final = int(os.environ.get("RELANCE_SEED", "1"))
MOST_S: Final = 60


def holds(life: Life) -> None:
    """What is true of an order after whatever happened to it."""
    units_are_counted_once(life)
    debts = {key: debt for key, debt in life.sale.debts.items() if debt.minor}
    dues = {_key(due): due for due in life.after.dues if due.amount_minor}
    assert dues.keys() == debts.keys(), f"{life.plan.number}: {dues.keys()} {debts.keys()}"
    if not dues:
        assert not [one for one in life.order.refunds if one.cause != "surplus"], "nothing is owed, nothing goes back"
        return
    stands = standings(life.order, life.after, life.setting)
    paid = _paid(life, dues)
    for key, debt in debts.items():
        due = dues[key]
        assert (due.amount_minor, due.product_minor, due.notice_on) == (debt.minor, debt.product, debt.notice_on), (
            f"{life.plan.number} {due} {debt}"
        )
        in_time(life, due, debt, paid[due.id])
        found = stands[due.id]
        assert found.due_on == debt.due(), f"{life.plan.number}: {due} {debt}"
        costs = debt.costs(paid[due.id], life.setting.on)
        assert found.surcharge_minor == costs, f"{life.plan.number}: {found} {costs} {debt} {paid[due.id]}"
        assert costs >= life.cost.get(due.id, 0) - len(paid[due.id]), "lateness never costs less by waiting"
        life.cost[due.id] = costs
    money_is_exact(life)


def _key(due: Due) -> tuple[str, bool]:
    return due.source, due.shipped


def _paid(life: Life, dues: dict[tuple[str, bool], Due]) -> dict[str, list[tuple[int, date]]]:
    """What the bank had of each due, and when; a refund that several share goes to them in their order."""
    found: dict[str, list[tuple[int, date]]] = {due.id: [] for due in dues.values()}
    left = {due.id: due.amount_minor for due in dues.values()}
    for refund in life.order.refunds:
        amount, on = refund.amount_minor, life.went.get(refund.id)
        for due in dues.values():
            if refund.id in due.refund_ids or refund.key == f"due/{due.id}":
                share = min(amount, left[due.id])
                left[due.id] -= share
                amount -= share
                if share and on is not None:
                    found[due.id].append((share, on))
        assert not amount, "every cent that goes back is owed for a reason"
    return found


def in_time(life: Life, due: Due, debt: Debt, paid: list[tuple[int, date]]) -> None:
    """A shop that leaves it to us has asked for the money by its date."""
    last = debt.due()
    if life.plan.automatic and last is not None and life.setting.on >= last:
        asked = [one for one in life.order.refunds if one.id in due.refund_ids or one.key == f"due/{due.id}"]
        assert asked or due.by_hand, f"{life.plan.number}: {due} was to be asked for by {last}"
        assert min(one.requested_at for one in asked).date() <= last
        assert len(paid) <= len(asked)


def units_are_counted_once(life: Life) -> None:
    for line in life.order.lines:
        thing = life.plan.things[line.id]
        if life.order.state not in {"cancelled", "resolved"}:
            assert (line.withdrawn, line.ended) == (thing.withdrawn, thing.ended), life.plan.number
        assert 0 <= line.withdrawn + line.ended <= line.quantity
        assert 0 <= line.received <= line.shipped <= line.quantity
        assert line.shipped == sum(one.units.get(line.id, 0) for one in life.order.parcels if on_its_way(one))


def money_is_exact(life: Life) -> None:
    order = life.order
    asked = 0
    for place, tender in enumerate(order.tenders):
        back = sum(one.amount_minor for one in order.refunds if one.tender == place)
        assert back <= tender.amount_minor, "each means gets back at most what it paid"
        asked += back
    gone = sum(one.amount_minor for one in order.refunds if one.state == "succeeded")
    assert kept_minor(order) == order.total_minor - gone
    issued = life.after.papers
    invoices = sum(one.total_minor for one in issued if one.kind == "invoice")
    notes = sum(one.total_minor for one in issued if one.kind == "credit_note")
    assert not issued or invoices - notes == order.total_minor - asked, f"{life.plan.number}: {issued}"


def test_two_years_of_ten_thousand_orders() -> None:
    began, clock, counted = time.process_time(), Clock(), dict[str, int]()
    gc.disable()  # what lives here lives to the end
    try:
        lives = [Life(drawn(SEED, number, FIRST), clock, counted, holds) for number in range(ORDERS)]
        clock.run()
    finally:
        gc.enable()
    took_s = time.process_time() - began
    clock.at = clock.until
    for life in lives:
        holds(life)
    dues = [due for life in lives for due in life.after.dues]
    late = [life for life in lives if any(life.cost.values())]
    assert took_s < MOST_S, f"{clock.done} events in {took_s:.1f} s"
    assert {"delivered", "cancelled", "resolved"} <= {life.order.state for life in lives}
    assert len(dues) > ORDERS / 3
    assert len(late) > ORDERS / 50
    assert {one.outcome for life in lives for said in life.after.statements for one in said.decisions} == {
        "accepted", "late", "excepted", "ancillary",
    }  # fmt: skip
    numbers_have_no_gap(lives, counted)


def numbers_have_no_gap(lives: list[Life], counted: dict[str, int]) -> None:
    """Each series counts from one, in the order of time."""
    issued = sorted((ref.number, ref.issued_on) for life in lives for ref in life.after.papers)
    names = [f"{series}-{place:06d}" for series in sorted(counted) for place in range(1, counted[series] + 1)]
    assert [number for number, _ in issued] == names
    for (number, on), (following, later) in itertools.pairwise(issued):
        assert number[:5] != following[:5] or on <= later
