"""The legal guarantee to the second and to the cent: used goods, digital content, faults that appear in time and are
claimed late, postage with its tariff, and units that several claims, withdrawals and endings are about.
"""

from datetime import UTC, date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.checkout.domain import claims, looking
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.claims import (
    ClaimAct,
    OpenClaim,
    ReduceClaim,
    RefuseClaim,
    RepairClaim,
    ReplaceClaim,
    ResolveClaim,
    TakeClaim,
    step,
)
from services.checkout.domain.dues import forecasts, standings
from services.checkout.domain.follow_up import Outcome, folded
from services.checkout.domain.guarantees import (
    OPEN,
    choices,
    claimable,
    guarantee_until,
    guaranteed_from,
    held_units,
    late_claims,
    presumed_until,
)
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.promises import ReportUnavailable, report_unavailable
from tests.unit.checkout.sold import (
    BOOK,
    at,
    cared,
    done,
    follow,
    line,
    ordered,
    parcel,
    refused,
    setting,
    sold,
    stated,
)

NOW = "2026-03-08T10:00"


def lamps(quantity: int = 2, net_minor: int = 5000, received: str = "2026-03-05T11:00") -> tuple[Order, Aftercare]:
    """Lamps that are here, and an article beside that keeps the order going."""
    units = {"1": quantity, "2": 1}
    order = ordered(line("1", quantity, net_minor), line("2", 1, 3000), parcels=(parcel("p", units, received),))
    return order, cared(sold("1"), sold("2"))


def films(**more: Any) -> tuple[Order, Aftercare]:
    """Digital content: two, confirmed on the day of the contract."""
    order = ordered(line("1", 2, 1000), delivery_minor=0)
    return order, cared(sold("1", "digital", **more))


def told(order: Order, after: Aftercare, act: ClaimAct, now: str = NOW) -> tuple[Order, Aftercare]:
    found = done(step(order, after, act, setting(now)))
    return folded(order, found, at(now)), found.after


def claimed(
    order: Order, after: Aftercare, *ids: str, units: int = 1, now: str = NOW, **more: Any
) -> tuple[Order, Aftercare]:  # fmt: skip
    for id_ in ids:
        order, after = told(order, after, OpenClaim(id=id_, line_id="1", units=units, **more), now)
    return order, after


def paid_for(after: Aftercare) -> list[int]:
    return [due.lines_minor["1"] for due in after.dues if "1" in due.lines_minor]


# -- until when --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "last"),
    [
        ("2026-03-29T23:30", "2028-03-29"),
        ("2026-10-25T00:30", "2028-10-25"),
        ("2028-02-29T09:00", "2030-02-28"),
        ("2027-02-28T09:00", "2029-02-28"),
    ],
)
def test_it_ends_with_the_last_second_of_its_day_in_paris(received: str, last: str) -> None:
    """Whatever the hour is elsewhere: a summer day ends at 22:00 of Greenwich, a winter day at 23:00."""
    order, after = lamps(received=received)
    assert guarantee_until("1", order, after, BOOK) == date.fromisoformat(last)
    end = at(f"{last}T00:00") + timedelta(days=1)
    for instant, state in ((end - timedelta(seconds=1), "opened"), (end, "refused")):
        now = setting(instant.astimezone(UTC))
        found = done(step(order, after, OpenClaim(id="c", line_id="1"), now))
        assert found.after.claims[0].state == state


def test_a_fault_counts_by_the_day_on_which_it_appeared() -> None:
    order, after = lamps()
    for day, state in ((date(2028, 3, 5), "opened"), (date(2028, 3, 6), "refused")):
        act = OpenClaim(id="c", line_id="1", appeared_on=day)
        assert done(step(order, after, act, setting("2028-05-01T10:00"))).after.claims[0].state == state
    for wrong in (date(2026, 3, 4), date(2028, 5, 2)):
        act = OpenClaim(id="c", line_id="1", appeared_on=wrong)
        assert refused(step(order, after, act, setting("2028-05-01T10:00"))).field == "appeared_on"


@pytest.mark.parametrize(
    ("kind", "more", "until"),
    [("goods", {}, "2028-03-05"), ("goods", {"used": True}, "2027-03-05"), ("digital", {}, "2027-03-02")],
)
def test_until_when_the_shop_has_to_prove(kind: str, more: dict[str, Any], until: str) -> None:
    order, _ = lamps()
    after = cared(sold("1", kind, **more), sold("2"))
    assert presumed_until("1", order, after, BOOK) == date.fromisoformat(until)


def test_a_replacement_of_late_days_begins_anew_and_never_ends_sooner() -> None:
    order, after = claimed(*lamps(), "c1", "c2", now="2026-04-01T10:00")
    order, after = told(order, after, ReplaceClaim(claim_id="c1", delivered_on=date(2026, 4, 20)), "2026-04-20T10:00")
    order, after = told(order, after, RepairClaim(claim_id="c2", back_on=date(2026, 4, 22)), "2026-04-22T10:00")
    assert guarantee_until("1", order, after, BOOK) == date(2028, 10, 20) + timedelta(days=21)
    order, after = claimed(order, after, "c3", now="2026-05-01T10:00")
    order, after = told(order, after, ReplaceClaim(claim_id="c3", delivered_on=date(2026, 5, 2)), "2026-05-02T10:00")
    assert guarantee_until("1", order, after, BOOK) == date(2028, 10, 20) + timedelta(days=21)


@pytest.mark.parametrize(
    ("out_from", "days"), [(None, 12), (date(2026, 4, 5), 12), (date(2026, 3, 30), 14), (date(2026, 4, 13), 12)]
)
def test_no_day_on_which_the_goods_do_not_serve_counts(out_from: date | None, days: int) -> None:
    order, after = claimed(*lamps(), "c", now="2026-04-01T10:00")
    order, after = told(order, after, TakeClaim(claim_id="c", out_from=out_from), "2026-04-13T10:00")
    order, after = told(order, after, RepairClaim(claim_id="c", back_on=date(2026, 4, 13)), "2026-04-13T11:00")
    assert guarantee_until("1", order, after, BOOK) == date(2028, 9, 5) + timedelta(days=days)


# -- digital content ---------------------------------------------------------------------------------------------------


def test_digital_content_is_guaranteed_from_its_supply() -> None:
    order, after = films()
    assert guaranteed_from("1", order, after) == date(2026, 3, 2)
    assert guarantee_until("1", order, after, BOOK) == date(2028, 3, 2)
    assert claimable(order, after) == {"1": 2}
    later = cared(sold("1", "digital"), confirmed_at=at("2026-03-04T00:10"))
    assert guarantee_until("1", order, later, BOOK) == date(2028, 3, 4)
    reported = cared(sold("1", "digital", started_on=date(2026, 3, 20)))
    assert guarantee_until("1", order, reported, BOOK) == date(2028, 3, 20)
    _, over = claimed(order, after, "c", now="2028-03-03T00:00")
    assert over.claims[0].state == "refused"


def test_digital_content_that_is_made_conform_adds_its_days_and_no_months() -> None:
    order, after = claimed(*films(), "c", now="2026-06-01T10:00")
    order, after = told(order, after, RepairClaim(claim_id="c", back_on=date(2026, 6, 11)), "2026-06-11T10:00")
    assert guarantee_until("1", order, after, BOOK) == date(2028, 3, 12)


def test_what_is_supplied_on_and_on_is_guaranteed_as_long_as_it_is() -> None:
    order, after = films(subscribed=True)
    assert guarantee_until("1", order, after, BOOK) is None
    order, after = claimed(order, after, "c", now="2031-06-01T10:00")
    assert after.claims[0].state == "opened"
    act = RefuseClaim(claim_id="c", reason="after_end")
    assert "as long as it is supplied" in refused(step(order, after, act, setting("2031-06-02T10:00"))).reason


def test_the_sale_of_digital_content_ends_and_gives_its_price_back() -> None:
    order, after = claimed(*films(), "c", now="2026-06-01T10:00")
    order, after = told(order, after, ResolveClaim(claim_id="c"), "2026-07-02T10:00")
    assert (paid_for(after), order.lines[0].ended) == ([500], 1)
    assert claimable(order, after) == {"1": 1}


def test_a_service_has_no_such_guarantee() -> None:
    order = ordered(line("1", 1, 1000), delivery_minor=0)
    found = refused(step(order, cared(sold("1", "service")), OpenClaim(id="c", line_id="1"), setting(NOW)))
    assert (found.field, found.article) == ("line_id", "L217-3")


# -- answers -----------------------------------------------------------------------------------------------------------


def test_a_minor_defect_excludes_the_end_of_the_sale_only() -> None:
    act = RefuseClaim(claim_id="c", reason="minor")
    for asked, article in (("repair", "D211-2 annex"), ("reduction", "D211-2 annex"), ("resolution", "")):
        found = step(*claimed(*lamps(), "c", asked=asked), act, setting(NOW))
        assert (found.article if isinstance(found, Refusal) else "") == article


def test_a_guarantee_that_runs_has_not_ended() -> None:
    act = RefuseClaim(claim_id="c", reason="after_end")
    order, after = claimed(*lamps(), "c", now="2028-03-05T23:59:59")
    found = refused(step(order, after, act, setting("2028-03-20T10:00")))
    assert (found.field, found.rule, found.article) == ("reason", "C10", "L217-3")
    assert "2028-03-05" in found.reason


def test_a_claim_that_came_after_the_end_opens_no_other_way() -> None:
    order, after = claimed(*lamps(), "c", now="2028-03-06T00:00")
    assert choices(after.claims[0], order, date(2028, 3, 7), BOOK) == ()


def test_another_reduction_is_another_claim() -> None:
    order, after = claimed(*lamps(), "c")
    order, after = told(order, after, ReduceClaim(claim_id="c", minor=1000))
    found = refused(step(order, after, ReduceClaim(claim_id="c", minor=900), setting(NOW)))
    assert found.field == "claim_id"
    assert done(step(order, after, ReduceClaim(claim_id="c", minor=1000), setting(NOW))).after == after


# -- postage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "state", "surcharge_minor"),
    [
        ("2026-04-21", "soon", 0), ("2026-04-22", "late", 89), ("2026-05-05", "late", 89), ("2026-05-06", "late", 178),
        ("2026-05-21", "late", 178), ("2026-05-22", "late", 445),
    ],
)  # fmt: skip
def test_postage_is_paid_in_fourteen_days_and_its_tariff_is_shown_before(
    on: str, state: str, surcharge_minor: int
) -> None:
    order, after = claimed(*lamps(), "c", now="2026-04-01T10:00")
    order, after = told(order, after, TakeClaim(claim_id="c", postage_minor=890), "2026-04-07T23:59")
    (due,) = after.dues
    stands = standings(order, after, setting(f"{on}T12:00"))[due.id]
    assert (stands.due_on, stands.state) == (date(2026, 4, 21), state)
    assert (stands.surcharge_minor, stands.rule, stands.article) == (surcharge_minor, "C09", "L241-6")
    steps = forecasts(order, after, BOOK)[due.id]
    assert [(one.from_on.isoformat(), one.percent, one.surcharge_minor) for one in steps] == [
        ("2026-04-22", "10", 89), ("2026-05-06", "20", 178), ("2026-05-22", "50", 445),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("out_from", "told_on", "notice"),
    [
        (None, "2026-04-20", "2026-04-07"), ("2026-04-05", "2026-04-20", "2026-04-07"),
        ("2026-04-15", "2026-04-20", "2026-04-15"),
    ],
)  # fmt: skip
def test_postage_that_is_told_later_counts_from_when_the_claim_was_taken_or_it_was_sent(
    out_from: str | None, told_on: str, notice: str
) -> None:
    order, after = claimed(*lamps(), "c", now="2026-04-01T10:00")
    order, after = told(order, after, TakeClaim(claim_id="c"), "2026-04-07T10:00")
    assert not after.dues
    away = None if out_from is None else date.fromisoformat(out_from)
    _, after = told(order, after, TakeClaim(claim_id="c", postage_minor=890, out_from=away), f"{told_on}T10:00")
    assert [(one.amount_minor, one.notice_on.isoformat()) for one in after.dues] == [(890, notice)]


@pytest.mark.parametrize("ended", ["repaired", "replaced", "reduced", "resolved"])
def test_postage_is_told_also_once_it_is_put_right(ended: str) -> None:
    acts: dict[str, ClaimAct] = {
        "repaired": RepairClaim(claim_id="c", back_on=date(2026, 3, 8)),
        "replaced": ReplaceClaim(claim_id="c", delivered_on=date(2026, 3, 8)),
        "reduced": ReduceClaim(claim_id="c", minor=100),
        "resolved": ResolveClaim(claim_id="c"),
    }
    order, after = told(*claimed(*lamps(), "c"), acts[ended])
    order, after = told(order, after, TakeClaim(claim_id="c", postage_minor=890), "2026-03-20T10:00")
    assert after.claims[0].state == ended
    assert [one.amount_minor for one in after.dues if one.regime == "guarantee"] == [890]
    assert done(step(order, after, TakeClaim(claim_id="c", postage_minor=890), setting(NOW))).after == after


# -- units -------------------------------------------------------------------------------------------------------------


def test_two_claims_of_one_unit_each_do_not_hold_up_each_other() -> None:
    """Of two lamps, both claimed, one is withdrawn: what is left is that of the claim that is answered first."""
    order, after = claimed(*lamps(), "c1", "c2")
    assert claimable(order, after) == {"2": 1}
    order, after = follow(order, after, stated(NOW, {"1": 1}), NOW)[:2]
    order, after = told(order, after, ResolveClaim(claim_id="c2"))
    assert paid_for(after) == [2500, 2500]
    after = looked(order, after).after
    assert {one.id: one.state for one in after.claims} == {"c1": "gone", "c2": "resolved"}


def test_both_of_two_claims_are_answered_by_their_units() -> None:
    order, after = claimed(*lamps(), "c1", "c2")
    order, after = told(order, after, ResolveClaim(claim_id="c1"))
    order, after = told(order, after, ReduceClaim(claim_id="c2", minor=700))
    assert paid_for(after) == [2500, 700]


def test_a_claim_of_more_than_is_left_gives_back_what_is_left() -> None:
    order, after = claimed(*lamps(3, 3000), "c1", units=2)
    order, after = follow(order, after, stated(NOW, {"1": 2}), NOW)[:2]
    order, after = told(order, after, ResolveClaim(claim_id="c1"))
    assert paid_for(after) == [2000, 1000]


def test_a_claim_whose_goods_all_went_back_is_closed_and_not_late() -> None:
    order, after = claimed(*lamps(), "c", units=2)
    order, after = follow(order, after, stated(NOW, {"1": 2}), NOW)[:2]
    assert late_claims(order, after, date(2026, 6, 1), BOOK) == ()
    found = looked(order, after)
    assert [one.facts["step"] for one in found.noted if one.what == "guarantees"] == ["gone"]
    assert found.after.claims[0].state == "gone"
    assert looked(order, found.after).after == found.after
    refused(step(order, found.after, ResolveClaim(claim_id="c"), setting(NOW)))


def test_of_a_claim_on_what_another_claim_holds_it_says_so() -> None:
    order, after = claimed(*lamps(), "c", units=2)
    found = refused(step(order, after, OpenClaim(id="c2", line_id="1"), setting(NOW)))
    assert found.field == "units"
    assert "2 units" in found.reason


def looked(order: Order, after: Aftercare) -> Outcome:
    return looking.look(order, after, setting(NOW))


ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            ("open", "withdraw", "take", "repair", "replace", "reduce", "resolve", "refuse", "look", "gone")
        ),
        st.integers(0, 5), st.integers(1, 5000),
    ),
    min_size=1, max_size=14,
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(quantity=st.integers(1, 4), came=st.integers(0, 4), net_minor=st.integers(1, 9999), acts=ACTS)
def test_in_whatever_order_no_unit_is_paid_back_for_more_than_it_cost_and_none_is_forgotten(
    quantity: int, came: int, net_minor: int, acts: list[tuple[str, int, int]]
) -> None:
    boxes = (parcel("p", {"1": min(came, quantity), "2": 1}, "2026-03-05T11:00"),)
    order = ordered(line("1", quantity, net_minor), line("2", 1, 3000), parcels=boxes)
    after = cared(sold("1"), sold("2"))
    for place, (what, number, minor) in enumerate(acts):
        order, after = acted(order, after, what, place, number, minor)
        holds(order, after, net_minor)
    order, after = withdrawn(order, after, quantity, "last")
    assert sum(paid_for(after)) == net_minor, "every cent that was paid is accounted for"
    assert all(one.state not in OPEN for one in looked(order, after).after.claims)


def acted(order: Order, after: Aftercare, what: str, place: int, number: int, minor: int) -> tuple[Order, Aftercare]:
    if what == "withdraw":
        return withdrawn(order, after, max(1, number), f"s{place}")
    if what == "look":
        found: Outcome | Refusal = looked(order, after)
    elif what == "gone":
        found = report_unavailable(order, after, ReportUnavailable(units={"1": number}), setting(NOW))
    else:
        id_ = after.claims[number % len(after.claims)].id if after.claims else "none"
        day = date(2026, 3, 8)
        known: dict[str, ClaimAct] = {
            "open": OpenClaim(id=f"c{place}", line_id="1", units=max(1, number)),
            "take": TakeClaim(claim_id=id_, postage_minor=minor),
            "repair": RepairClaim(claim_id=id_, back_on=day),
            "replace": ReplaceClaim(claim_id=id_, delivered_on=day),
            "reduce": ReduceClaim(claim_id=id_, minor=minor),
            "resolve": ResolveClaim(claim_id=id_),
            "refuse": RefuseClaim(claim_id=id_, reason="no_defect"),
        }
        found = claims.step(order, after, known[what], setting(NOW))
    return (order, after) if isinstance(found, Refusal) else (folded(order, found, at(NOW)), found.after)


def withdrawn(order: Order, after: Aftercare, units: int, id_: str) -> tuple[Order, Aftercare]:
    return follow(order, after, stated(NOW, {"1": units}, id_), NOW)[:2]


def holds(order: Order, after: Aftercare, net_minor: int) -> None:
    """Never more than was paid; never more units than there were; no open claim that cannot be answered."""
    one = order.lines[0]
    assert all(minor >= 0 for minor in paid_for(after))
    assert sum(paid_for(after)) <= net_minor
    assert one.withdrawn + one.ended <= one.quantity
    held = held_units(one, order, after)
    assert 0 <= held <= one.received
    for claim in after.claims:
        if claim.state in OPEN and claim.line_id == "1":
            found = claims.step(order, after, ResolveClaim(claim_id=claim.id), setting(NOW))
            assert isinstance(found, Refusal) is (held == 0), "no claim holds up another"
