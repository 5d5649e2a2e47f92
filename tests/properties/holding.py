"""What is true of an order that lives, whatever has happened to it: dates, sums and states are those of the texts."""

from datetime import date

from services.checkout.domain import claims, lateness, papers
from services.checkout.domain.aftercare import Due
from services.checkout.domain.dues import Standing, standings
from services.checkout.domain.orders import kept_minor, left_minor, on_its_way
from tests.properties.bought import LAW
from tests.properties.two_years import Life
from tests.reference.tariffs import Debt

_SOON_DAYS = 3


def holds(life: Life) -> None:
    """All of it, of one order, now."""
    units_are_counted_once(life)
    what_is_late_is_told(life)
    assert papers.kept_until(life.order, life.after, LAW) == life.sale.archived_until()
    owed = life.debts()
    if not owed:
        gone = [one for one in life.order.refunds if one.cause != "surplus" and one.key not in life.freely]
        assert not gone, "nothing is owed, nothing goes back"
        life.quiet = life.look_at is None
        return
    stands, paid = standings(life.order, life.after, life.setting), _paid(life, owed)
    for due, debt in owed:
        assert (due.regime, due.amount_minor, due.product_minor, due.notice_on) == (
            debt.regime, debt.minor, debt.product, debt.notice_on
        ), f"{life.plan.number} {due} {debt}"  # fmt: skip
        in_time(life, due, debt)
        stands_so(life, due, debt, stands[due.id], paid[due.id])
        as_agreed(life, due)
    money_is_exact(life, owed)
    life.quiet = life.look_at is None and all(one.state == "settled" for one in stands.values())


def _brings(life: Life, due: Due) -> list[int]:
    return [
        place for place, one in enumerate(life.order.refunds) if one.id in due.refund_ids or one.key == f"due/{due.id}"
    ]


def _paid(life: Life, owed: list[tuple[Due, Debt]]) -> dict[str, list[tuple[int, date]]]:
    """What the consumer had of each due, and when; a refund that several share goes to them in their order."""
    found = {due.id: list(debt.out) for due, debt in owed}
    left = {due.id: debt.minor - sum(minor for minor, _ in debt.out) for due, debt in owed}
    brings = {due.id: set(_brings(life, due)) for due, _ in owed}
    for place, refund in enumerate(life.order.refunds):
        amount, on = refund.amount_minor, life.went.get(refund.id)
        for due, _ in owed:
            share = min(amount, left[due.id]) if place in brings[due.id] else 0
            if share:
                left[due.id] -= share
                amount -= share
                if on is not None:
                    found[due.id].append((share, on))
        assert not amount or refund.key in life.freely, "every cent that goes back is owed for a reason"
    return found


def stands_so(life: Life, due: Due, debt: Debt, found: Standing, paid: list[tuple[int, date]]) -> None:
    """As it stands today: its date, what is open, and what lateness costs, less what was paid of that."""
    on, last = life.on, debt.due()
    assert found.due_on == last, f"{life.plan.number}: {due} {debt}"
    open_minor = debt.minor - sum(minor for minor, _ in paid)
    costs = debt.costs(paid, on)
    rest = max(0, costs - debt.topped)
    assert (found.open_minor, found.surcharge_minor) == (open_minor, rest), f"{life.plan.number}: {found} {debt} {paid}"
    before = life.cost.get(due.id, 0)
    assert costs >= before - len(paid), f"{life.plan.number}: waiting made it cheaper, {before} {costs} {debt} {paid}"
    life.cost[due.id] = costs
    if last is None:
        state = "waiting" if open_minor else "settled"
    elif open_minor:
        days = (last - on).days
        state = "late" if days < 0 else "soon" if days <= _SOON_DAYS else "open"
    else:
        state = "paid" if rest else "settled"
    assert found.state == state, f"{life.plan.number}: {found} {debt} {paid}"


def in_time(life: Life, due: Due, debt: Debt) -> None:
    """A shop that leaves it to us has asked for the money by its date, all of it."""
    last = debt.due()
    if not life.plan.automatic or last is None or life.on < last:
        return
    asked = [life.order.refunds[place] for place in _brings(life, due)]
    by_hand = sum(minor for minor, _ in debt.out)
    assert due.by_hand or sum(one.amount_minor for one in asked) + by_hand >= debt.minor, (
        f"{life.plan.number}: {due} was to be asked for by {last}"
    )
    assert due.by_hand or by_hand or min(one.requested_at for one in asked).date() <= last


def as_agreed(life: Life, due: Due) -> None:
    """Another way than back where it came from only as the consumer agreed, since he ordered."""
    way = life.agreed.get(due.id)
    for place in _brings(life, due):
        refund = life.order.refunds[place]
        if way is not None and refund.key == f"due/{due.id}" and not refund.tries > 1:
            assert (refund.means, refund.purse, refund.agreed_at) == (way.means, way.purse, way.agreed_at)
        if refund.means:
            assert refund.agreed_at is not None
            assert life.order.placed_at <= refund.agreed_at <= life.clock.at


def units_are_counted_once(life: Life) -> None:
    for line in life.order.lines:
        thing = life.plan.things[line.id]
        if life.order.state not in {"cancelled", "resolved"}:
            assert (line.withdrawn, line.ended) == (thing.withdrawn, thing.ended), life.plan.number
        assert 0 <= line.withdrawn + line.ended <= line.quantity
        assert 0 <= line.received <= line.shipped <= line.quantity
        assert line.shipped == sum(one.units.get(line.id, 0) for one in life.order.parcels if on_its_way(one))


def what_is_late_is_told(life: Life) -> None:
    """Of goods that did not come the consumer hears on the next day, of a claim the shop is told that it was slow."""
    late = {one.line_id: one.units for one in lateness.late(life.order, life.after, life.on, LAW)}
    goods = {id_: count for id_, count in late.items() if life.plan.things[id_].kind == "goods"}
    assert goods == life.sale.late(life.on), f"{life.plan.number}: {life.on} {late}"
    assert all(f"late/{id_}" in life.after.told for id_ in late)
    if life.sale.faults:
        slow = {id_ for id_, fault in life.sale.faults.items() if fault.is_late(life.on)}
        assert {one.claim.id for one in claims.late_claims(life.order, life.after, life.on, LAW)} == slow
        assert all(f"claim/{id_}/late" in life.after.told for id_ in slow)


def money_is_exact(life: Life, owed: list[tuple[Due, Debt]]) -> None:
    """No means gives back more than it paid, all of them what is owed, and papers say the same."""
    order, asked = life.order, 0
    for place, tender in enumerate(order.tenders):
        back = sum(one.amount_minor for one in order.refunds if one.tender == place)
        assert back + left_minor(order)[place] == tender.amount_minor, "each means gets back at most what it paid"
        asked += back
    gone = sum(one.amount_minor for one in order.refunds if one.state == "succeeded")
    assert kept_minor(order) == order.total_minor - gone
    out = sum(minor for _, debt in owed if not debt.by_hand for minor, _ in debt.out)
    of_the_order = sum(debt.minor for _, debt in owed if not debt.by_hand)
    assert of_the_order <= order.total_minor, f"{life.plan.number}: more is owed than was paid"
    issued = life.after.papers
    invoices = sum(one.total_minor for one in issued if one.kind == "invoice")
    notes = sum(one.total_minor for one in issued if one.kind == "credit_note")
    assert not issued or notes == min(invoices, asked + out), f"{life.plan.number}: {issued}"
