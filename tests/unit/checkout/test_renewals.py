"""Renewals, each with its own notice: terms of a month, minimum times that go on without end, notices that came to
nobody, and terminations that are told late or again.
"""

from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relance.rules.law.goods import Subscription
from services.checkout.domain.contracts import (
    Advance,
    Announced,
    Contract,
    Renewal,
    Terminate,
    begun,
    free_to_leave,
    record_advance,
    renewals_after,
    terminate,
    valid_notice,
    window,
)
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.renewals import Looked, ended, look, next_on, untold
from tests.unit.checkout.sold import BOOK, at, cared, line, ordered, setting

MONTHLY = Subscription(term_months=1, renews_tacitly=True, monthly_total_minor=900)
YEARLY = Subscription(term_months=12, renews_tacitly=True, refusal_days=31, monthly_total_minor=900)
ENGAGED = Subscription(minimum_months=12, renews_tacitly=True, notice_days=30, monthly_total_minor=900)


def contract(subscription: Subscription, placed: str = "2026-03-01T10:00") -> tuple[Order, Contract]:
    order = ordered(line(), delivery_minor=0, placed=at(placed))
    found = begun(order, order.lines[0], subscription)
    assert found is not None
    return order, found


def on(day: str | date) -> Setting:
    return setting(f"{day}T06:00")


def lived(order: Order, of: Contract, first: str, last: str) -> tuple[Contract, list[tuple[date, str]]]:
    """The contract once each day was looked at, and the letters: the day of each, and the renewal that it tells of."""
    day, letters = date.fromisoformat(first), []
    while day <= date.fromisoformat(last):
        looked = look(of, order, on(day))
        letters += [(day, str(letter.facts["renews_on"])) for letter in looked.letters]
        of, day = looked.contract, day + timedelta(days=1)
    return of, letters


def left(of: Contract, asked: str, wished: str = "", id_: str = "t1") -> Looked:
    wish = date.fromisoformat(wished) if wished else None
    found = ended(of, cared(), Terminate(id=id_, asked_at=at(asked), wished_on=wish), setting(asked))
    assert isinstance(found, Looked), found
    return found


def end(of: Looked) -> tuple[str, str, bool]:
    assert of.confirmed is not None
    return of.confirmed.ends_on.isoformat(), of.confirmed.effects, of.confirmed.free


def by_message(of: Contract, message: str = "m1") -> Contract:
    """The contract, once its last notice has left."""
    announced = (*of.announced[:-1], msgspec.structs.replace(of.announced[-1], message=message))
    return msgspec.structs.replace(of, announced=announced)


# -- terms of a month --------------------------------------------------------------------------------------------------


def test_of_a_months_term_each_renewal_is_announced_in_its_own_window_and_the_first_one_cannot_be() -> None:
    order, of = contract(MONTHLY)
    of, letters = lived(order, of, "2026-03-01", "2026-07-02")
    assert letters == [
        (date(2026, 3, 1), "2026-05-01"), (date(2026, 4, 1), "2026-06-01"), (date(2026, 5, 1), "2026-07-01"),
        (date(2026, 6, 1), "2026-08-01"), (date(2026, 7, 1), "2026-09-01"),
    ]  # fmt: skip
    assert [(one.on.isoformat(), one.valid) for one in of.renewals] == [
        ("2026-04-01", False), ("2026-05-01", True), ("2026-06-01", True), ("2026-07-01", True),
    ]  # fmt: skip
    for day, renews in letters:
        within = window(of, date.fromisoformat(renews), (BOOK, day))
        assert within.first <= day <= within.last


def test_in_the_term_that_nobody_could_announce_he_leaves_when_he_wants() -> None:
    order, of = contract(MONTHLY)
    of, _ = lived(order, of, "2026-03-01", "2026-04-10")
    assert end(left(of, "2026-03-31T23:59")) == ("2026-04-01", "term_end", False)
    assert end(left(of, "2026-04-10T10:00")) == ("2026-04-10", "no_notice", True)
    of, _ = lived(order, of, "2026-04-11", "2026-05-10")
    assert end(left(of, "2026-05-10T10:00")) == ("2026-06-01", "term_end", False)


def test_the_notice_of_one_renewal_is_none_of_another() -> None:
    """The windows of short terms overlap: a notice that came too late for May announced nothing of June."""
    order, of = contract(MONTHLY)
    of, letters = lived(order, of, "2026-04-02", "2026-04-02")
    assert [renews for _, renews in letters] == ["2026-05-01", "2026-06-01"], "the late one too, while it helps"
    law = (BOOK, date(2026, 4, 2))
    assert valid_notice(of, date(2026, 5, 1), law) is None
    assert valid_notice(of, date(2026, 6, 1), law) == date(2026, 4, 2)
    alone = msgspec.structs.replace(of, announced=of.announced[:1])
    assert valid_notice(alone, date(2026, 6, 1), law) is None


@pytest.mark.parametrize(
    ("months", "first"), [(2, "2026-03-01"), (3, "2026-03-01"), (4, "2026-03-30"), (6, "2026-05-31")]
)  # fmt: skip
def test_other_short_terms_are_announced_from_the_first_day_of_their_window(months: int, first: str) -> None:
    order, of = contract(Subscription(term_months=months, renews_tacitly=True))
    of, letters = lived(order, of, "2026-03-01", "2027-03-02")
    assert letters[0][0] == date.fromisoformat(first)
    assert all(one.valid for one in of.renewals)
    assert len({renews for _, renews in letters}) == len(letters), "each renewal is told once"


@settings(deadline=None, max_examples=60)
@given(months=st.integers(1, 13), refusal=st.integers(0, 45), began=st.dates(date(2026, 1, 1), date(2028, 3, 1)))
def test_every_renewal_whose_window_lies_in_the_contract_is_announced_in_it(
    months: int, refusal: int, began: date
) -> None:
    order, of = contract(
        Subscription(term_months=months, renews_tacitly=True, refusal_days=refusal), f"{began}T12:00"
    )  # fmt: skip
    day, until = began, began + timedelta(days=500)
    while day <= until:
        now = on(day)
        looked = look(of, order, now)
        of = looked.contract
        assert look(of, order, now) == Looked(of), "who looks twice finds nothing more"
        ahead = next_on(of, now)
        assert ahead is not None
        assert ahead > day
        day = ahead
    for renews in renewals_after(of, began):
        if renews > until:
            break
        possible = window(of, renews, (BOOK, renews)).last >= began
        assert (valid_notice(of, renews, (BOOK, renews)) is not None) is possible
        assert next(one.valid for one in of.renewals if one.on == renews) is possible
    told = [one.renews_on for one in of.announced]
    assert len(set(told)) == len(told)


# -- a minimum time that goes on without end --------------------------------------------------------------------------


def test_a_minimum_that_goes_on_without_end_is_announced_once_and_left_with_notice_after_it() -> None:
    order, of = contract(ENGAGED)
    assert (of.tacit, of.term_months, of.minimum_until) == (True, 0, date(2027, 3, 1))
    of, letters = lived(order, of, "2026-10-01", "2027-06-01")
    assert letters == [(date(2026, 11, 28), "2027-03-01")]
    assert of.renewals == (Renewal(on=date(2027, 3, 1), notice_on=date(2026, 11, 28), valid=True),)
    assert next_on(of, on("2027-06-01")) is None
    assert end(left(of, "2027-06-01T10:00")) == ("2027-07-01", "notice_days", False)


@pytest.mark.parametrize(
    ("asked", "ends", "effects"),
    [("2027-02-28T23:59", "2027-03-01", "term_end"), ("2026-04-01T10:00", "2027-03-01", "term_end")],
)
def test_within_its_minimum_it_ends_with_it(asked: str, ends: str, effects: str) -> None:
    order, of = contract(ENGAGED)
    of, _ = lived(order, of, "2026-11-28", "2026-11-28")
    assert end(left(of, asked)) == (ends, effects, False)
    assert end(left(of, "2026-12-01T10:00", "2027-05-01")) == ("2027-05-01", "at_once", False)


def test_a_minimum_whose_end_nobody_announced_is_left_at_any_time_after_it() -> None:
    order, of = contract(ENGAGED)
    of = look(of, order, on("2027-03-01")).contract
    assert free_to_leave(of, date(2027, 3, 1))
    assert end(left(of, "2027-03-20T10:00")) == ("2027-03-20", "no_notice", True)


# -- notices that came to nobody ---------------------------------------------------------------------------------------


def renewed() -> tuple[Order, Contract]:
    """A year's contract whose renewal of 1 March 2027 was announced by the message m1, and has begun."""
    order, of = contract(YEARLY)
    of = by_message(lived(order, of, "2026-10-29", "2026-10-29")[0])
    return order, lived(order, of, "2026-10-30", "2027-03-01")[0]


def test_a_notice_that_bounces_after_the_renewal_makes_it_none() -> None:
    _, of = renewed()
    assert [one.valid for one in of.renewals] == [True]
    found = untold(of, cared(), "m1", on("2027-03-05"))
    assert found.contract.renewals == (Renewal(on=date(2027, 3, 1), notice_on=None, valid=False),)
    assert [one.facts["step"] for one in found.noted] == ["renewal_untold"]
    assert end(left(found.contract, "2027-03-20T10:00")) == ("2027-03-20", "no_notice", True)
    assert untold(found.contract, cared(), "m1", on("2027-03-06")) == Looked(found.contract)
    assert untold(of, cared(), "m2", on("2027-03-05")) == Looked(of)


def test_one_that_comes_back_long_after_is_sent_again_on_the_next_day() -> None:
    order, of = contract(YEARLY)
    of = by_message(look(of, order, on("2026-10-29")).contract)
    for heard, again in (("2026-11-04", "2026-11-05"), ("2026-11-05", "2026-11-06"), ("2026-12-20", "2026-12-21")):
        found = untold(of, cared(), "m1", on(heard)).contract
        assert next_on(found, on(heard)) == date.fromisoformat(again)
        (letter,) = look(found, order, on(again)).letters
        assert letter.facts["renews_on"] == "2027-03-01"
    too_late = untold(of, cared(), "m1", on("2027-01-29")).contract
    assert next_on(too_late, on("2027-01-29")) == date(2027, 3, 1), "nobody can refuse it any more"


def test_one_that_is_to_be_sent_again_holds_up_no_notice_of_a_later_renewal() -> None:
    """The one of July can wait until the eighth of June; that of August has its window until the second."""
    months = Subscription(term_months=1, renews_tacitly=True, refusal_days=30, trial_days=14)
    order, of = contract(months, "2026-02-15T10:00")
    july = Announced(on=date(2026, 6, 1), renews_on=date(2026, 7, 1), message="m1", failed=True)
    of = msgspec.structs.replace(of, announced=(july,))
    assert next_on(of, on("2026-05-31")) == date(2026, 6, 1)
    letters = look(of, order, on("2026-06-01")).letters
    assert [one.facts["renews_on"] for one in letters] == ["2026-08-01"]


def test_what_was_paid_on_such_a_renewal_goes_back_by_the_day() -> None:
    _, of = renewed()
    of = untold(of, cared(), "m1", on("2027-03-05")).contract
    paid = Advance(id="a", paid_on=date(2027, 3, 1), minor=900, from_on=date(2027, 3, 1), until_on=date(2027, 3, 30))
    of = record_advance(of, paid, date(2027, 3, 2))  # type: ignore[assignment]
    found = left(of, "2027-03-21T10:00")
    assert found.due is not None
    assert (found.due.regime, found.due.amount_minor, found.due.notice_on) == ("renewal", 300, date(2027, 3, 21))


def test_who_was_held_to_the_next_term_by_it_has_left_when_he_said() -> None:
    _, of = renewed()
    paid = Advance(id="a", paid_on=date(2027, 3, 1), minor=900, from_on=date(2027, 3, 1), until_on=date(2027, 3, 30))
    of = record_advance(of, paid, date(2027, 3, 1))  # type: ignore[assignment]
    held = left(of, "2027-03-04T10:00").contract
    assert held.termination is not None
    assert (held.termination.ends_on, held.termination.free) == (date(2028, 3, 1), False)
    found = untold(held, cared(), "m1", on("2027-03-10"))
    assert end(found) == ("2027-03-04", "no_notice", True)
    assert found.due is not None
    assert (found.due.amount_minor, found.due.notice_on) == (810, date(2027, 3, 4))
    assert look(found.contract, ordered(line()), on("2027-03-10")).contract.ended_on == date(2027, 3, 4)


# -- terminations that come late, early, or again ---------------------------------------------------------------------


def test_a_termination_on_the_day_of_the_renewal_counts_it_though_nobody_looked_yet() -> None:
    _, of = contract(YEARLY)
    found = left(of, "2027-03-01T00:05")
    assert end(found) == ("2027-03-01", "no_notice", True)
    assert end(left(of, "2027-02-28T23:59")) == ("2027-03-01", "no_notice", True)


def test_a_termination_that_was_in_time_undoes_the_renewals_that_were_counted_since() -> None:
    """A letter of the last day of refusal, recorded weeks later."""
    order, of = contract(YEARLY)
    of, _ = lived(order, of, "2026-10-29", "2027-03-10")
    act = Terminate(id="t1", channel="letter", asked_at=at("2027-01-29T12:00"))
    found = ended(of, cared(), act, on("2027-03-10"))
    assert isinstance(found, Looked)
    assert end(found) == ("2027-03-01", "term_end", False)
    assert found.contract.renewals == ()
    gone = look(found.contract, order, on("2027-03-10")).contract
    assert gone.ended_on == date(2027, 3, 1)


def test_notified_again_it_ends_on_the_same_day_or_sooner() -> None:
    order, of = contract(YEARLY)
    of, _ = lived(order, of, "2026-10-29", "2026-10-29")
    first = left(of, "2027-01-10T10:00").contract
    again = left(first, "2027-02-10T10:00", id_="t2")
    assert again.contract == first, "held to no next term"
    assert end(again)[0] == "2027-03-01"
    assert again.confirmed is not None
    assert again.confirmed.asked_at == at("2027-02-10T10:00")
    assert [one.facts["step"] for one in again.noted] == ["terminated_again"]
    late = left(of, "2026-05-01T10:00", "2027-09-01").contract
    sooner = left(late, "2026-06-01T10:00", id_="t2")
    assert (end(left(of, "2026-05-01T10:00", "2027-09-01"))[0], end(sooner)[0]) == ("2028-03-01", "2027-03-01")
    assert sooner.contract.termination is not None
    assert sooner.contract.termination.id == "t2"


def test_what_a_second_notification_adds_to_what_goes_back_is_owed_once() -> None:
    _, of = contract(Subscription(notice_days=30))
    paid = Advance(id="a", paid_on=date(2026, 3, 1), minor=3650, from_on=date(2026, 3, 1), until_on=date(2027, 2, 28))
    of = record_advance(of, paid, date(2026, 3, 1))  # type: ignore[assignment]
    first = left(of, "2026-03-10T10:00", "2026-12-01")
    assert first.due is not None
    assert first.due.amount_minor == 900
    second = left(first.contract, "2026-04-01T10:00", id_="t2")
    assert end(second)[0] == "2026-05-01"
    assert second.due is not None
    assert first.due.amount_minor + second.due.amount_minor == 3650 - 610


@pytest.mark.parametrize(
    ("asked", "wished", "ends"),
    [
        ("2026-03-31T23:59", "", "2026-03-30"),
        ("2026-03-30T23:59", "", "2026-03-30"),
        ("2026-03-05T10:00", "2026-03-31", "2026-03-31"),
        ("2026-03-05T10:00", "2026-06-01", "2026-03-31"),
    ],
)
def test_in_a_trial_he_leaves_when_he_wishes_and_at_its_end_at_the_latest(asked: str, wished: str, ends: str) -> None:
    _, of = contract(msgspec.structs.replace(YEARLY, trial_days=30))
    assert (of.trial_until, of.term_from) == (date(2026, 3, 30), date(2026, 3, 31))
    found = end(left(of, asked, wished))
    assert found == ((ends, "trial", True) if asked < "2026-03-31" else ("2027-03-31", "term_end", False))


def test_a_termination_from_before_the_contract_is_none() -> None:
    _, of = contract(YEARLY)
    act = Terminate(id="t", asked_at=at("2026-02-28T23:59"))
    found = terminate(of, act, (BOOK, date(2026, 3, 1)))
    assert isinstance(found, Refusal)
    assert (found.field, found.article) == ("asked_at", "D215-2")
