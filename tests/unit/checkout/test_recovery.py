"""Goods that were withdrawn while they were under way, and never came."""

from datetime import date

from msgspec.structs import replace

from services.checkout.domain.orders import Order
from services.checkout.domain.recovery import look
from tests.unit.checkout.sold import at, cared, follow, line, ordered, parcel, setting, stated

ALL = parcel("a", {"1": 2}, "2026-03-03T18:00")


def gone(order: Order, id_: str, when: str) -> Order:
    """The order once a parcel is lost."""
    parcels = tuple(
        replace(one, incident="lost", incident_at=at(when)) if one.id == id_ else one for one in order.parcels
    )
    return replace(order, parcels=parcels)


def test_what_came_in_another_parcel_holds_up_nothing_that_was_lost() -> None:
    came, way = parcel("a", {"1": 1}, "2026-03-03T18:00"), parcel("b", {"1": 1})
    order = ordered(line(quantity=2, net_minor=9980), parcels=(came, way))
    order, after, _ = follow(order, cared(), stated("2026-03-04T10:00", {"1": 1}), "2026-03-04T10:00")
    assert look(order, after, setting("2026-03-05T10:00")).after == after, "it is still under way"
    lost = gone(order, "b", "2026-03-09T10:00")
    found = look(lost, after, setting("2026-03-09T10:00"))
    assert [due.recovered_on for due in found.after.dues] == [date(2026, 3, 9)]
    rest, later, _ = follow(lost, found.after, stated("2026-03-10T10:00", id_="s2"), "2026-03-10T10:00")
    again = look(rest, later, setting("2026-03-10T10:00"))
    assert [due.recovered_on for due in again.after.dues] == [date(2026, 3, 9), None], "each unit counts once"


def test_what_the_consumer_holds_is_waited_for_though_another_unit_was_lost() -> None:
    came, way = parcel("a", {"1": 1}, "2026-03-03T18:00"), parcel("b", {"1": 1})
    order = ordered(line(quantity=2, net_minor=9980), parcels=(came, way))
    order, after, _ = follow(order, cared(), stated("2026-03-04T10:00"), "2026-03-04T10:00")
    lost = gone(order, "b", "2026-03-09T10:00")
    assert look(lost, after, setting("2026-03-09T10:00")).after == after
    before = gone(ordered(line(quantity=2, net_minor=9980), parcels=(ALL, way)), "b", "2026-03-03T10:00")
    order, after, _ = follow(before, cared(), stated("2026-03-04T10:00"), "2026-03-04T10:00")
    assert look(order, after, setting("2026-03-09T10:00")).after == after, "it was lost, and sent anew, before"
