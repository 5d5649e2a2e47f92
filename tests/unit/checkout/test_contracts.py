"""Contracts that go on: their terms, the notice in its window, both sides of each last day, and how they end."""

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from relance.rules.law.goods import Subscription
from services.checkout.domain import lifecycle
from services.checkout.domain.aftercare import Due
from services.checkout.domain.contracts import (
    Advance,
    Contract,
    Renewal,
    Terminate,
    Termination,
    begun,
    free_to_leave,
    record_advance,
    refusal_until,
    renews_on,
    terminate,
    valid_notice,
    window,
)
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import Order, Withdraw
from services.checkout.domain.outcomes import Moved, Refusal
from services.checkout.domain.renewals import Looked, advanced, ended, look, next_on, untold
from tests.unit.checkout.sold import BOOK, at, cared, line, ordered, setting

YEARLY = Subscription(term_months=12, renews_tacitly=True, refusal_days=31, monthly_total_minor=900)
OPEN = Subscription(notice_days=30, minimum_months=3)


def contract(subscription: Subscription = YEARLY, **more: Any) -> tuple[Order, Contract]:
    order = ordered(line(), delivery_minor=0, **more)
    found = begun(order, order.lines[0], subscription)
    assert found is not None
    return order, found


def on(day: str) -> Setting:
    return setting(f"{day}T06:00")


def lived(order: Order, of: Contract, first: str, last: str, skip: frozenset[date] = frozenset()) -> list[Looked]:
    """Each day's look, but for days on which nobody looked."""
    day, until, found = date.fromisoformat(first), date.fromisoformat(last), []
    while day <= until:
        if day not in skip:
            looked = look(of, order, on(day.isoformat()))
            of = looked.contract
            found.append(looked)
        day += timedelta(days=1)
    return found


def by_message(of: Contract, message: str = "m1") -> Contract:
    """The contract, once its last notice has left."""
    announced = (*of.announced[:-1], msgspec.structs.replace(of.announced[-1], message=message))
    return msgspec.structs.replace(of, announced=announced)


def left(of: Contract, asked: str, wished: str = "") -> Termination:
    wish = date.fromisoformat(wished) if wished else None
    found = terminate(of, Terminate(id="t1", asked_at=at(asked), wished_on=wish), (BOOK, at(asked).date()))
    assert isinstance(found, Termination), found
    return found


def test_a_line_that_is_over_once_it_is_delivered_begins_none() -> None:
    order = ordered(line())
    assert begun(order, order.lines[0], None) is None


def test_a_term_of_a_year_renews_itself_and_can_be_refused_until_then() -> None:
    _, of = contract()
    assert (of.started_on, of.term_from, of.period_minor) == (date(2026, 3, 2), date(2026, 3, 2), 900)
    renews = renews_on(of, date(2026, 3, 2))
    assert renews == date(2027, 3, 2)
    assert refusal_until(of, renews) == date(2027, 1, 30)
    within = window(of, renews, (BOOK, date(2026, 10, 30)))
    assert (within.first, within.last) == (date(2026, 10, 30), date(2026, 12, 30))
    assert renews_on(of, date(2027, 3, 1)) == date(2027, 3, 2)
    assert renews_on(of, date(2027, 3, 2)) == date(2028, 3, 2)


def test_shorter_months_shift_no_term() -> None:
    _, of = contract(Subscription(term_months=1, renews_tacitly=True), placed=at("2026-01-31T10:00"))
    days = [date(2026, 1, 31)]
    for _ in range(3):
        days.append(renews_on(of, days[-1]) or days[-1])
    assert days[1:] == [date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)]


def test_the_notice_is_sent_once_on_the_first_day_of_its_window() -> None:
    order, of = contract()
    assert next_on(of, on("2026-03-02")) == date(2026, 10, 30)
    days = lived(order, of, "2026-10-28", "2027-03-03")
    letters = [(one.contract.notices[-1], one.letters[0]) for one in days if one.letters]
    ((day, letter),) = letters
    assert day == date(2026, 10, 30)
    assert letter.kind == "renewal.notice"
    assert (letter.facts["refusal_until"], letter.facts["renews_on"]) == ("2027-01-30", "2027-03-02")
    assert days[-1].contract.renewals == (
        Renewal(on=date(2027, 3, 2), notice_on=date(2026, 10, 30), valid=True),
    )  # fmt: skip


@pytest.mark.parametrize(("last_missed", "valid"), [("2026-12-29", True), ("2026-12-30", False)])
def test_a_notice_after_its_window_is_sent_and_is_none(last_missed: str, valid: bool) -> None:  # noqa: FBT001
    order, of = contract()
    first = date(2026, 10, 30)
    missed = frozenset(
        first + timedelta(days=n) for n in range((date.fromisoformat(last_missed) - first).days + 1)
    )  # fmt: skip
    days = lived(order, of, "2026-10-28", "2027-03-03", missed)
    assert sum(len(one.letters) for one in days) == 1
    assert days[-1].contract.renewals[0].valid is valid
    assert (valid_notice(days[-1].contract, date(2027, 3, 2), (BOOK, date(2027, 3, 2))) is not None) is valid


@pytest.mark.parametrize(("failed", "again"), [("2026-10-30", "2026-11-06"), ("2026-12-27", "2026-12-30")])
def test_a_notice_that_did_not_arrive_is_none_and_is_sent_again_in_its_window(failed: str, again: str) -> None:
    order, of = contract()
    of = by_message(look(of, order, on(failed)).contract)
    of = untold(of, cared(), "m1", on(failed)).contract
    assert of.notices == ()
    assert untold(of, cared(), "m1", on(failed)) == Looked(of)
    assert next_on(of, on(failed)) == date.fromisoformat(again)
    days = lived(order, of, failed, "2027-03-03")
    assert [one.contract.notices[-1].isoformat() for one in days if one.letters] == [again]
    assert days[-1].contract.renewals[0].valid
    of = look(of, order, on("2027-03-02")).contract
    assert not of.renewals[0].valid, "nobody looked: he was told nothing"


def test_a_renewal_that_nobody_was_told_of_lets_him_leave_and_pays_back_by_the_day() -> None:
    order, of = contract()
    of = look(of, order, on("2027-03-02")).contract
    assert of.renewals == (Renewal(on=date(2027, 3, 2), notice_on=None, valid=False),)
    paid = record_advance(
        of,
        Advance(id="a1", paid_on=date(2027, 3, 2), minor=900, from_on=date(2027, 3, 2), until_on=date(2027, 3, 31)),
        date(2027, 3, 2),
    )
    assert isinstance(paid, Contract)
    found = left(paid, "2027-03-12T09:00")
    assert (found.ends_on, found.free, found.effects, found.due_minor) == (date(2027, 3, 12), True, "no_notice", 600)
    act = Terminate(id="t1", asked_at=at("2027-03-12T09:00"))
    looked = ended(paid, cared(), act, on("2027-03-12"))
    assert isinstance(looked, Looked)
    due = looked.due
    assert isinstance(due, Due)
    assert (due.regime, due.amount_minor, due.notice_on, due.by_hand) == ("renewal", 600, date(2027, 3, 12), True)


def test_what_was_paid_before_the_renewal_for_days_after_the_end_goes_back_too() -> None:
    order, of = contract()
    of = look(of, order, on("2027-03-02")).contract
    early = Advance(id="a", paid_on=date(2027, 3, 1), minor=900, from_on=date(2027, 3, 1), until_on=date(2027, 3, 30))
    of = record_advance(of, early, date(2027, 3, 2))  # type: ignore[assignment]
    assert left(of, "2027-03-12T09:00").due_minor == 900 * 19 // 30


@pytest.mark.parametrize(
    ("asked", "ends", "effects"),
    [
        ("2027-01-30T23:59", "2027-03-02", "term_end"),
        ("2027-01-31T00:00", "2028-03-02", "next_term"),
    ],
)
def test_a_renewal_is_refused_on_its_last_day_or_the_next_term_is_served(asked: str, ends: str, effects: str) -> None:
    order, of = contract()
    of = look(of, order, on("2026-10-30")).contract
    found = left(of, asked)
    assert (found.ends_on.isoformat(), found.effects, found.free) == (ends, effects, False)


def paid_for(of: Contract, paid: str, first: str, last: str) -> Advance:
    day = date.fromisoformat
    return Advance(id=f"a{paid}", paid_on=day(paid), minor=900, from_on=day(first), until_on=day(last))


NEXT_TERM = ("2027-02-15", "2027-03-02", "2027-03-31")


@pytest.mark.parametrize("told", [True, False])
def test_what_was_paid_for_a_term_that_never_begins_goes_back_whole(told: bool) -> None:  # noqa: FBT001
    order, of = contract()
    of = look(of, order, on("2026-10-30")).contract if told else of
    of = record_advance(of, paid_for(of, *NEXT_TERM), date(2027, 2, 15))  # type: ignore[assignment]
    found = left(of, "2027-01-30T10:00" if told else "2027-02-20T10:00")
    assert (found.ends_on, found.due_minor) == (date(2027, 3, 2), 900)


def test_what_was_paid_for_the_time_after_a_trial_goes_back_whole() -> None:
    _, of = contract(Subscription(term_months=12, renews_tacitly=True, trial_days=30))
    early = paid_for(of, "2026-03-02", "2026-04-01", "2026-04-30")
    of = record_advance(of, early, date(2026, 3, 2))  # type: ignore[assignment]
    assert left(of, "2026-03-10T10:00").due_minor == 900


def test_an_advance_that_is_told_after_the_termination_goes_back_once() -> None:
    _, of = contract()
    act = Terminate(id="t1", asked_at=at("2027-02-20T10:00"))
    done = ended(of, cared(), act, on("2027-02-20"))
    assert isinstance(done, Looked)
    assert done.due is None
    first = paid_for(of, *NEXT_TERM)
    told = advanced(done.contract, cared(), first, on("2027-02-21"))
    assert isinstance(told, Looked)
    assert told.due is not None
    assert (told.due.amount_minor, told.due.notice_on) == (900, date(2027, 3, 2))
    assert told.contract.termination is not None
    assert told.contract.termination.due_minor == 900
    assert advanced(told.contract, cared(), first, on("2027-02-21")) == Looked(told.contract)
    late = paid_for(of, "2027-03-10", "2027-03-10", "2027-03-31")
    more = advanced(told.contract, cared(), late, on("2027-03-11"))
    assert isinstance(more, Looked)
    assert more.due is not None
    assert (more.due.amount_minor, more.due.notice_on) == (900, date(2027, 3, 10))


def test_without_notice_a_late_refusal_ends_with_the_term() -> None:
    _, of = contract()
    assert (left(of, "2027-02-20T10:00").ends_on, left(of, "2027-02-20T10:00").free) == (date(2027, 3, 2), True)


def test_a_later_wish_is_granted_at_the_end_of_a_term() -> None:
    _, of = contract()
    assert left(of, "2026-05-01T10:00", "2026-06-01").ends_on == date(2027, 3, 2)
    assert left(of, "2026-05-01T10:00", "2027-03-03").ends_on == date(2028, 3, 2)


def test_a_contract_without_end_ends_after_its_notice_and_its_commitment() -> None:
    _, of = contract(OPEN)
    assert left(of, "2026-03-10T10:00").ends_on == date(2026, 6, 2)
    assert left(of, "2026-06-10T10:00").ends_on == date(2026, 7, 10)
    assert left(of, "2026-06-10T10:00", "2026-09-01").ends_on == date(2026, 9, 1)
    _, free = contract(Subscription())
    assert left(free, "2026-06-10T10:00").effects == "at_once"


def test_a_trial_ends_when_he_wishes_and_the_first_term_begins_after_it() -> None:
    _, of = contract(Subscription(term_months=12, renews_tacitly=True, trial_days=30))
    assert (of.trial_until, of.term_from) == (date(2026, 3, 31), date(2026, 4, 1))
    assert left(of, "2026-03-31T23:59").ends_on == date(2026, 3, 31)
    assert left(of, "2026-04-01T00:00").ends_on == date(2027, 4, 1)


@pytest.mark.parametrize(("wished", "field"), [("2026-05-31", "wished_on"), ("2026-06-01", "")])
def test_a_day_that_has_passed_is_not_wished_for(wished: str, field: str) -> None:
    _, of = contract(Subscription())
    act = Terminate(id="t", asked_at=at("2026-06-01T10:00"), wished_on=date.fromisoformat(wished))
    found = terminate(of, act, (BOOK, date(2026, 6, 1)))
    assert (found.field if isinstance(found, Refusal) else "") == field


def test_it_ends_on_its_day_and_is_told_nothing_more() -> None:
    order, of = contract()
    found = ended(of, cared(), Terminate(id="t1", asked_at=at("2026-05-01T10:00")), on("2026-05-01"))
    assert isinstance(found, Looked)
    again = ended(found.contract, cared(), Terminate(id="t1", asked_at=at("2026-05-01T10:00")), on("2026-05-02"))
    assert isinstance(again, Looked)
    assert again.contract == found.contract
    assert not again.noted
    days = lived(order, found.contract, "2026-10-25", "2027-03-04")
    assert not [one for one in days if one.letters]
    assert [one.contract.ended_on for one in days if one.noted] == [date(2027, 3, 2)]
    assert next_on(days[-1].contract, on("2027-03-04")) is None
    late = ended(days[-1].contract, cared(), Terminate(id="t2", asked_at=at("2027-03-04T10:00")), on("2027-03-04"))
    assert isinstance(late, Looked)
    assert late.contract == days[-1].contract
    assert late.confirmed is not None, "confirmed again, to the same day"
    assert (late.confirmed.ends_on, late.confirmed.asked_at) == (date(2027, 3, 2), at("2027-03-04T10:00"))


def test_a_term_that_renews_not_ends_by_itself() -> None:
    order, of = contract(Subscription(term_months=6))
    assert next_on(of, on("2026-03-02")) == date(2026, 9, 2)
    assert look(of, order, on("2026-09-01")).contract.ended_on is None
    over = look(of, order, on("2026-09-02")).contract
    assert over.ended_on == date(2026, 9, 2)
    late = ended(over, cared(), Terminate(id="t", asked_at=at("2026-09-03T10:00")), on("2026-09-03"))
    assert isinstance(late, Looked)
    assert late.contract == over
    assert late.confirmed is not None
    assert (late.confirmed.ends_on, late.confirmed.effects) == (date(2026, 9, 2), "ended")


def test_withdrawal_from_its_line_ends_it() -> None:
    order, of = contract(Subscription())
    act = Withdraw(stated_at=at("2026-03-10T10:00"), medium="web", units={"1": 1}, accepted={"1": 1})
    moved = lifecycle.step(order, act, at("2026-03-10T10:00"))
    assert isinstance(moved, Moved)
    gone = look(of, moved.state, on("2026-03-10")).contract
    assert (gone.withdrawn_on, gone.ended_on) == (date(2026, 3, 10), date(2026, 3, 10))


def test_whoever_looks_twice_finds_nothing_more() -> None:
    order, of = contract()
    for day in ("2026-10-30", "2027-03-02", "2027-11-01"):
        of = look(of, order, on(day)).contract
        again = look(of, order, on(day))
        assert again == Looked(of)


# -- orders of a release before aftercare ------------------------------------------------------------------------------


def of_before(known_from: str) -> tuple[Order, Contract]:
    """A contract of 2 March 2026 that is known from a later day on."""
    order = ordered(line(), delivery_minor=0)
    found = begun(order, order.lines[0], YEARLY, date.fromisoformat(known_from))
    assert found is not None
    return order, found


def test_renewals_of_before_are_not_known_and_those_since_are_announced_and_counted() -> None:
    order, of = of_before("2029-06-01")
    looked = look(of, order, on("2029-06-01"))
    assert (looked.contract.renewals, looked.letters) == ((), ())
    assert renews_on(of, date(2026, 3, 2)) == date(2030, 3, 2)
    assert not free_to_leave(of, date(2029, 6, 1))
    found = left(of, "2029-06-01T10:00")
    assert (found.ends_on, found.effects, found.free) == (date(2030, 3, 2), "term_end", False)
    days = lived(order, of, "2029-06-01", "2030-03-03")
    assert [one.contract.notices[-1] for one in days if one.letters] == [date(2029, 10, 30)]
    assert [(one.on, one.valid) for one in days[-1].contract.renewals] == [(date(2030, 3, 2), True)]


@pytest.mark.parametrize(("known_from", "valid"), [("2027-12-31", False), ("2028-01-01", True)])
def test_of_a_renewal_whose_window_had_closed_before_nobody_says_that_it_was_not_announced(
    known_from: str, valid: bool  # noqa: FBT001
) -> None:  # fmt: skip
    """Its window ends on 31 December: on that day Relance could still have told of it."""
    order, of = of_before(known_from)
    of = look(of, order, on("2028-03-02")).contract
    assert [(one.on, one.valid, one.notice_on) for one in of.renewals] == [(date(2028, 3, 2), valid, None)]
    assert free_to_leave(of, date(2028, 3, 10)) is not valid
    assert left(msgspec.structs.replace(of, renewals=()), "2028-02-10T10:00").free is not valid
