"""A statement whose acknowledgement came back: no mail reaches its consumer, and the shop writes a letter."""

from datetime import date

from services.checkout.application.gauging import _of_order
from services.checkout.domain.orders import Order
from services.checkout.domain.statements import AcknowledgeByPost, acknowledged, step, unacknowledged
from tests.unit.checkout.sold import at, cared, done, follow, line, ordered, parcel, refused, setting, stated


def two() -> Order:
    return ordered(line(quantity=2, net_minor=9980), parcels=(parcel("a", {"1": 2}, "2026-03-03T18:00"),))


def test_one_that_came_back_is_acknowledged_by_letter_once_the_shop_says_so() -> None:
    order, after, _ = follow(two(), cared(), stated("2026-03-10T10:00"), "2026-03-10T10:00")
    back = unacknowledged(acknowledged(after, "s1", at("2026-03-10T10:01")), "s1")
    assert (back.statements[0].by_post, back.statements[0].acknowledged_at) == (True, None)
    for on, now, counts in (
        ("2026-03-11", "2026-03-12T10:00", "2026-03-12T00:00"), ("2026-03-12", "2026-03-12T10:00", "2026-03-12T10:00"),
    ):  # fmt: skip
        act = AcknowledgeByPost(statement_id="s1", on=date.fromisoformat(on))
        found = done(step(order, back, act, setting(now)))
        assert found.after.statements[0].acknowledged_at == at(counts)
        assert [(one.by, one.rules, one.facts["on"]) for one in found.noted] == [("shop", ("B08",), on)]
        again = done(step(order, found.after, act, setting(now)))
        assert (again.after, again.noted) == (found.after, ())
    for on in ("2026-03-09", "2026-03-13"):
        act = AcknowledgeByPost(statement_id="s1", on=date.fromisoformat(on))
        assert refused(step(order, back, act, setting("2026-03-12T10:00"))).field == "on"
    other = AcknowledgeByPost(statement_id="s9", on=date(2026, 3, 11))
    assert refused(step(order, back, other, setting("2026-03-12T10:00"))).field == "statement_id"


def test_what_no_mail_can_acknowledge_is_counted_apart_from_what_is_stuck() -> None:
    order, after, _ = follow(two(), cared(), stated("2026-03-10T10:00"), "2026-03-10T10:00")
    back = unacknowledged(acknowledged(after, "s1", at("2026-03-10T10:01")), "s1")
    posted = done(step(order, back, AcknowledgeByPost(statement_id="s1", on=date(2026, 3, 11)), setting("2026-03-12")))
    for held, counted in ((after, (1, 0)), (back, (0, 1)), (posted.after, (0, 0))):
        found = _of_order(order, held, setting("2026-03-12T10:00"))
        assert (found.unacknowledged, found.by_post) == counted
