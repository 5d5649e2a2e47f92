"""What is owed back for a line, by whatever way its units go: never twice, and never more than is still paid."""

from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.checkout.domain import claims, promises
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.claims import OpenClaim, ReduceClaim, ResolveClaim
from services.checkout.domain.follow_up import folded
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.promises import ReportUnavailable
from tests.unit.checkout.sold import at, cared, done, follow, line, ordered, parcel, refused, setting, sold, stated

NOW = "2026-03-08T10:00"
HERE = "2026-03-05T11:00"


def bought(quantity: int = 2, net_minor: int = 5000, came: int | None = None) -> tuple[Order, Aftercare]:
    """Lamps of which some came, and an article beside that keeps the order going."""
    units = {"1": quantity if came is None else came, "2": 1}
    lines = (line("1", quantity, net_minor), line("2", 1, 3000))
    return ordered(*lines, parcels=(parcel("p", units, HERE),)), cared(sold("1"), sold("2"))


def claiming(order: Order, after: Aftercare, act: Any) -> tuple[Order, Aftercare]:
    found = done(claims.step(order, after, act, setting(NOW)))
    return folded(order, found, at(NOW)), found.after


def withdrawing(order: Order, after: Aftercare, units: int, id_: str = "s1") -> tuple[Order, Aftercare]:
    return follow(order, after, stated(NOW, {"1": units}, id_), NOW)[:2]


def of_lamps(after: Aftercare) -> list[int]:
    return [due.lines_minor["1"] for due in after.dues if "1" in due.lines_minor]


def test_a_claim_that_is_resolved_after_a_withdrawal_pays_what_is_left() -> None:
    order, after = claiming(*bought(), OpenClaim(id="c1", line_id="1", units=2))
    order, after = claiming(*withdrawing(order, after, 1), ResolveClaim(claim_id="c1"))
    assert of_lamps(after) == [2500, 2500]
    assert after.dues[-1].units == {"1": 1}
    assert (order.lines[0].withdrawn, order.lines[0].ended) == (1, 1)


def test_the_price_of_what_went_back_is_not_reduced() -> None:
    order, after = claiming(*bought(1), OpenClaim(id="c1", line_id="1"))
    order, after = withdrawing(order, after, 1)
    refused(claims.step(order, after, ReduceClaim(claim_id="c1", minor=100), setting(NOW)))
    order, after = claiming(*bought(), OpenClaim(id="c1", line_id="1", units=2))
    order, after = withdrawing(order, after, 1)
    refused(claims.step(order, after, ReduceClaim(claim_id="c1", minor=2501), setting(NOW)))


def reduced(quantity: int, units: int, minor: int, came: int | None = None) -> tuple[Order, Aftercare]:
    order, after = claiming(*bought(quantity, came=came), OpenClaim(id="c1", line_id="1", units=units))
    return claiming(order, after, ReduceClaim(claim_id="c1", minor=minor))


def test_only_what_is_still_paid_goes_back_after_a_reduction() -> None:
    _, after = withdrawing(*reduced(1, 1, 2000), 1)
    assert of_lamps(after) == [2000, 3000]
    assert after.dues[-1].amount_minor == 3000
    order, after = claiming(*reduced(1, 1, 2000), OpenClaim(id="c2", line_id="1"))
    assert of_lamps(claiming(order, after, ResolveClaim(claim_id="c2"))[1]) == [2000, 3000]


def test_a_reduction_of_all_units_is_spread_over_them_and_one_of_some_comes_last() -> None:
    order, after = withdrawing(*reduced(2, 2, 2000), 1)
    assert of_lamps(after) == [2000, 1500]
    assert of_lamps(withdrawing(order, after, 1, "s2")[1]) == [2000, 1500, 1500]
    order, after = withdrawing(*reduced(2, 1, 2000), 1)
    assert of_lamps(after) == [2000, 2500]
    assert of_lamps(withdrawing(order, after, 1, "s2")[1]) == [2000, 2500, 500]


def test_what_never_came_was_not_reduced_and_gives_back_its_price() -> None:
    order, after = reduced(2, 1, 2000, came=1)
    found = done(promises.report_unavailable(order, after, ReportUnavailable(units={"1": 1}), setting(NOW)))
    assert of_lamps(found.after) == [2000, 2500]
    assert of_lamps(withdrawing(folded(order, found, at(NOW)), found.after, 1)[1]) == [2000, 2500, 500]


STEPS = st.lists(
    st.tuples(st.sampled_from(("withdraw", "resolve", "reduce", "open")), st.integers(1, 3), st.integers(1, 5000)),
    min_size=2,
    max_size=8,
)


@settings(deadline=None, max_examples=150)
@given(quantity=st.integers(1, 4), claimed=st.integers(1, 4), net_minor=st.integers(1, 9999), steps=STEPS)
def test_whatever_becomes_of_them_no_cent_goes_back_twice(
    quantity: int, claimed: int, net_minor: int, steps: list[tuple[str, int, int]]
) -> None:
    order, after = claiming(*bought(quantity, net_minor), OpenClaim(id="c", line_id="1", units=claimed))
    for place, (what, units, minor) in enumerate(steps):
        claim = after.claims[minor % len(after.claims)].id
        if what == "withdraw":
            order, after = withdrawing(order, after, units, f"s{place}")
        else:
            acts: dict[str, Any] = {
                "open": OpenClaim(id=f"c{place}", line_id="1", units=units),
                "reduce": ReduceClaim(claim_id=claim, minor=minor),
                "resolve": ResolveClaim(claim_id=claim),
            }
            found = claims.step(order, after, acts[what], setting(NOW))
            if not isinstance(found, Refusal):
                order, after = folded(order, found, at(NOW)), found.after
        one = order.lines[0]
        assert sum(of_lamps(after)) <= net_minor
        assert min(of_lamps(after), default=0) >= 0
        assert one.withdrawn + one.ended <= quantity
        if one.withdrawn + one.ended == quantity:
            assert sum(of_lamps(after)) >= net_minor - quantity
    assert all(due.notice_on == date(2026, 3, 8) for due in after.dues)
