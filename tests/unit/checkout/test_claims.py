"""Claims under the legal guarantee: both sides of each end, what repairs and replacements do to it, what is owed."""

from datetime import date

import msgspec
import pytest

from services.checkout.domain import lifecycle
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.claims import (
    Answer,
    ClaimAct,
    OpenClaim,
    ReduceClaim,
    RefuseClaim,
    RepairClaim,
    ReplaceClaim,
    ResolveClaim,
    TakeClaim,
    choices,
    claimable,
    guarantee_until,
    late_claims,
    look,
    next_on,
    presumed_until,
    right_until,
    step,
)
from services.checkout.domain.follow_up import Outcome, folded
from services.checkout.domain.orders import Order, Withdraw
from services.checkout.domain.outcomes import Moved
from tests.unit.checkout.sold import BOOK, at, cared, done, line, ordered, parcel, refused, setting, sold

RECEIVED = ordered(line(quantity=2, net_minor=5001), parcels=(parcel("p", {"1": 2}, "2026-03-05T11:00"),))


def told(order: Order, after: Aftercare, act: ClaimAct, now: str) -> tuple[Order, Aftercare, Outcome]:
    found = done(step(order, after, act, setting(now)))
    return folded(order, found, at(now)), found.after, found


def claimed(now: str = "2026-04-01T10:00", units: int = 1, **more: str) -> tuple[Order, Aftercare]:
    act = OpenClaim(id="c1", line_id="1", units=units, content="ab12", **more)  # type: ignore[arg-type]
    order, after, _ = told(RECEIVED, cared(), act, now)
    return order, after


def test_two_years_from_the_last_receipt() -> None:
    twice = (parcel("p", {"1": 1}, "2026-03-05T11:00"), parcel("q", {"1": 1}, "2026-03-09T23:30"))
    assert guarantee_until("1", ordered(line(quantity=2), parcels=twice), cared(), BOOK) == date(2028, 3, 9)
    assert guarantee_until("1", ordered(line()), cared(), BOOK) is None
    leap = (parcel("p", {"1": 1}, "2028-02-29T08:00"),)
    assert guarantee_until("1", ordered(line(), parcels=leap), cared(), BOOK) == date(2030, 2, 28)


def test_services_have_none_and_used_goods_are_presumed_for_a_year() -> None:
    assert guarantee_until("1", RECEIVED, cared(sold(kind="service")), BOOK) is None
    assert presumed_until("1", RECEIVED, cared(sold(used=True)), BOOK) == date(2027, 3, 5)
    assert guarantee_until("1", RECEIVED, cared(sold(used=True)), BOOK) == date(2028, 3, 5)
    assert presumed_until("1", RECEIVED, cared(), BOOK) == date(2028, 3, 5)


def test_a_repair_adds_six_months_to_the_present_end_and_the_days_away() -> None:
    order, after = claimed()
    order, after, _ = told(order, after, TakeClaim(claim_id="c1", out_from=date(2026, 4, 3)), "2026-04-03T10:00")
    order, after, _ = told(order, after, RepairClaim(claim_id="c1", back_on=date(2026, 4, 13)), "2026-04-13T10:00")
    assert guarantee_until("1", order, after, BOOK) == date(2028, 9, 17), "from the claim, before it left"
    order, after, _ = told(order, after, OpenClaim(id="c2", line_id="1"), "2028-09-17T23:59")
    assert after.claims[1].state == "opened"
    order, after, _ = told(order, after, RepairClaim(claim_id="c2", back_on=date(2028, 9, 20)), "2028-09-20T10:00")
    assert guarantee_until("1", order, after, BOOK) == date(2029, 3, 20)


def test_a_replacement_begins_the_two_years_anew() -> None:
    order, after = claimed()
    _, after, _ = told(order, after, ReplaceClaim(claim_id="c1", delivered_on=date(2026, 4, 20)), "2026-04-20T10:00")
    assert guarantee_until("1", order, after, BOOK) == date(2028, 4, 20)


@pytest.mark.parametrize(("now", "state"), [("2028-03-05T23:59:59", "opened"), ("2028-03-06T00:00", "refused")])
def test_a_claim_after_the_end_is_recorded_and_answered(now: str, state: str) -> None:
    _, after, found = told(RECEIVED, cared(), OpenClaim(id="c1", line_id="1"), now)
    assert after.claims[0].state == state
    assert [letter.kind for letter in found.letters] == (["claim.answered"] if state == "refused" else [])
    if state == "refused":
        _, kinder, _ = told(RECEIVED, after, TakeClaim(claim_id="c1"), now)
        assert (kinder.claims[0].state, kinder.claims[0].refused_for) == ("taken", "")


def test_what_is_refused_for_its_date_says_why_and_names_the_mediator() -> None:
    act, late = OpenClaim(id="c1", line_id="1"), setting("2028-03-06T00:00")
    found = done(step(RECEIVED, cared(), act, late, "Médiateur : M."))
    assert found.letters[0].facts["answer"] == "Médiateur : M."
    assert any("G03" in noted.rules for noted in found.noted)
    assert done(step(RECEIVED, cared(), act, setting("2028-03-05T10:00"), "Médiateur : M.")).letters == ()


def test_what_was_not_received_is_no_claim_and_units_are_cut() -> None:
    found = refused(step(ordered(line()), cared(), OpenClaim(id="c1", line_id="1"), setting("2026-03-04T10:00")))
    assert (found.rule, found.article) == ("C10", "L217-3")
    _, after = claimed(units=9)
    assert after.claims[0].units == 2
    assert claimable(RECEIVED, after) == {}
    again = done(step(RECEIVED, after, OpenClaim(id="c1", line_id="1"), setting("2026-04-02T10:00")))
    assert again.after == after
    assert not again.noted


def test_withdrawn_units_are_not_claimed() -> None:
    act = Withdraw(stated_at=at("2026-03-06T10:00"), medium="web", units={"1": 1}, accepted={"1": 1})
    moved = lifecycle.step(RECEIVED, act, at("2026-03-06T10:00"))
    assert isinstance(moved, Moved)
    assert claimable(moved.state, cared()) == {"1": 1}


def test_what_comes_of_a_sale_that_has_ended_is_not_claimed() -> None:
    """Resolved while it was on its way, it arrives all the same: it was paid back, and goes back."""
    ended = msgspec.structs.replace(RECEIVED, state="resolved")
    assert claimable(ended, cared()) == {}
    found = refused(step(ended, cared(), OpenClaim(id="c1", line_id="1"), setting("2026-04-01T10:00")))
    assert (found.field, found.article) == ("units", "L217-3")


def test_postage_is_owed_from_the_day_on_which_the_claim_is_taken() -> None:
    order, after = claimed()
    order, after, found = told(order, after, TakeClaim(claim_id="c1", postage_minor=890), "2026-04-07T23:30")
    (due,) = after.dues
    assert (due.regime, due.amount_minor, due.notice_on, due.by_hand) == ("guarantee", 890, date(2026, 4, 7), True)
    assert [letter.kind for letter in found.letters] == ["claim.answered"]
    _, same, again = told(order, after, TakeClaim(claim_id="c1", postage_minor=890), "2026-04-08T10:00")
    assert same == after
    assert not again.letters
    _, more, _ = told(order, after, TakeClaim(claim_id="c1", postage_minor=1000), "2026-04-08T10:00")
    assert [one.amount_minor for one in more.dues] == [890, 110]
    less = refused(step(order, after, TakeClaim(claim_id="c1", postage_minor=1), setting("2026-04-08T10:00")))
    assert less.article == "L241-6"


def test_thirty_days_to_put_it_right_then_the_price_or_the_contract() -> None:
    order, after = claimed("2026-04-01T10:00")
    assert right_until(after.claims[0], order, BOOK) == date(2026, 5, 1)
    assert next_on(order, after, setting("2026-04-01T10:00")) == date(2026, 5, 2)
    assert choices(after.claims[0], order, date(2026, 5, 1), BOOK) == ("repair", "replacement")
    assert choices(after.claims[0], order, date(2026, 5, 2), BOOK)[2:] == ("reduction", "resolution")
    assert not look(order, after, setting("2026-05-01T23:59")).noted
    late = look(order, after, setting("2026-05-02T00:00"))
    assert [one.facts["step"] for one in late.noted] == ["not_put_right"]
    assert not look(order, late.after, setting("2026-05-03T00:00")).noted
    (found,) = late_claims(order, after, date(2026, 5, 4), BOOK)
    assert found.days == 3


def test_the_price_is_reduced_once_and_by_no_more_than_it_is() -> None:
    order, after = claimed()
    assert "2501" in refused(
        step(order, after, ReduceClaim(claim_id="c1", minor=2502), setting("2026-04-05T10:00"))
    ).reason  # fmt: skip
    _, after, _ = told(order, after, ReduceClaim(claim_id="c1", minor=1000), "2026-04-05T10:00")
    (due,) = after.dues
    assert (due.regime, due.amount_minor, due.lines_minor) == ("none", 1000, {"1": 1000})
    _, same, _ = told(order, after, ReduceClaim(claim_id="c1", minor=1000), "2026-04-06T10:00")
    assert same == after


def test_a_sale_that_ends_gives_its_price_back_and_its_units_can_be_withdrawn_from_no_more() -> None:
    order, after = claimed(units=2)
    order, after, _ = told(order, after, ResolveClaim(claim_id="c1"), "2026-05-05T10:00")
    assert [due.amount_minor for due in after.dues] == [5001]
    assert order.lines[0].ended == 2
    assert claimable(order, after) == {}


@pytest.mark.parametrize(("reason", "article"), [("carrier", "L216-2"), ("no_reservations", "L216-5")])
def test_neither_the_carrier_nor_silence_at_the_door_excuses(reason: str, article: str) -> None:
    order, after = claimed()
    act = RefuseClaim(claim_id="c1", reason=reason)  # type: ignore[arg-type]
    assert refused(step(order, after, act, setting("2026-04-02T10:00"))).article == article


def test_a_refusal_names_the_mediator_and_opens_the_other_ways() -> None:
    order, after = claimed()
    act = RefuseClaim(claim_id="c1", reason="no_defect")
    found = done(step(order, after, act, setting("2026-04-02T10:00"), "Médiateur : M."))
    assert found.letters[0].facts["answer"] == "Médiateur : M."
    assert "G03" in found.noted[0].rules
    assert len(choices(found.after.claims[0], order, date(2026, 4, 2), BOOK)) == 4
    assert done(step(order, found.after, act, setting("2026-04-03T10:00"))).after == found.after


@pytest.mark.parametrize(
    "act",
    [
        TakeClaim(claim_id="c9"),
        RepairClaim(claim_id="c1", back_on=date(2026, 4, 6)),
        ReplaceClaim(claim_id="c1", delivered_on=date(2026, 3, 31)),
        TakeClaim(claim_id="c1", out_from=date(2026, 4, 6)),
        ReduceClaim(claim_id="c1", minor=0),
    ],
)
def test_what_cannot_be_is_refused(act: Answer) -> None:
    order, after = claimed()
    refused(step(order, after, act, setting("2026-04-05T10:00")))


def test_a_claim_that_is_closed_takes_no_other_answer() -> None:
    order, after = claimed()
    order, after, _ = told(order, after, RepairClaim(claim_id="c1", back_on=date(2026, 4, 5)), "2026-04-05T10:00")
    refused(step(order, after, ReduceClaim(claim_id="c1", minor=100), setting("2026-04-06T10:00")))
    refused(step(order, after, RefuseClaim(claim_id="c1", reason="no_defect"), setting("2026-04-06T10:00")))
