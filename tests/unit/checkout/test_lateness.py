"""Services have a day by which they are supplied, as goods have one by which they come (L216-1)."""

from datetime import date
from typing import Any

from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.follow_up import folded
from services.checkout.domain.lateness import late, latest
from services.checkout.domain.orders import Order
from services.checkout.domain.promises import ResolveLate, look, next_on, step
from services.checkout.domain.returns import PerformService
from services.checkout.domain.statements import step as state
from tests.unit.checkout.sold import BOOK, at, cared, done, line, ordered, refused, setting, sold

DAY = date(2026, 3, 10)


def repair(**more: Any) -> tuple[Order, Aftercare]:
    return ordered(line(), delivery_minor=0), cared(sold(kind="service", **more))


def test_a_service_is_late_until_it_is_performed() -> None:
    order, after = repair(promised_on=DAY)
    assert latest(order, after, BOOK) == {"1": DAY}
    assert latest(order, cared(sold(kind="service")), BOOK) == {"1": date(2026, 4, 1)}, "thirty days"
    assert late(order, after, DAY, BOOK) == ()
    assert next_on(order, after, setting("2026-03-05T10:00")) == date(2026, 3, 11)
    assert [one.units for one in late(order, after, date(2026, 3, 11), BOOK)] == [1]
    assert [one.kind for one in look(order, after, setting("2026-03-11T00:00")).letters] == ["delivery.late"]
    act = PerformService(line_id="1", on=date(2026, 3, 12))
    there = done(state(order, after, act, setting("2026-03-12T10:00"))).after
    assert late(order, there, date(2026, 3, 13), BOOK) == ()


def test_a_service_that_is_late_is_resolved_and_paid_back() -> None:
    order, after = repair(promised_on=DAY, essential=True)
    act = ResolveLate(received_at=at("2026-03-11T00:00"), medium="email")
    found = done(step(order, after, act, setting("2026-03-11T00:00")))
    assert folded(order, found, at("2026-03-11T00:00")).state == "resolved"
    assert [due.amount_minor for due in found.after.dues] == [4990]
    for performed, count in ((date(2026, 3, 10), 0), (date(2026, 3, 11), 1)):
        _, there = repair(promised_on=DAY, essential=True, performed_on=performed)
        ends = ResolveLate(received_at=at("2026-03-12T10:00"), medium="web")
        done_then = done(step(order, there, ends, setting("2026-03-12T10:00"))).after
        assert len(done_then.dues) == count, "performed in time it stands"


def test_what_lasts_is_supplied_from_its_start_and_what_runs_by_itself_is_not_awaited() -> None:
    order, lasting = repair(promised_on=DAY, service_days=30, started_on=date(2026, 3, 9))
    assert late(order, lasting, date(2026, 3, 20), BOOK) == ()
    for more in ({"subscribed": True}, {"ancillary_to": ("2",)}):
        order, by_itself = repair(promised_on=DAY, **more)
        assert latest(order, by_itself, BOOK) == {}
    order, digital = ordered(line()), cared(sold(kind="digital", promised_on=DAY))
    assert latest(order, digital, BOOK) == {}
    act = ResolveLate(received_at=at("2026-03-12T10:00"), medium="email")
    assert refused(step(order, digital, act, setting("2026-03-12T10:00"))).rule == "C01"
