"""Contracts are left: again, late, by words that name them or by none, and by who was never told; on both databases."""

from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import msgspec
import pytest

from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.domain.contracts import Advance, Contract, Terminate
from services.checkout.domain.outcomes import Refusal
from services.checkout.store import Store
from tests.integration.checkout.contracts_kit import (
    ADA,
    bounced,
    lives,
    noted,
    only,
    press,
    seen,
    subscribed,
    told,
)
from tests.integration.checkout.desk_kit import SHOP, Clock, ok
from tests.integration.checkout.owing_kit import works


@pytest.fixture
async def desk(store: Store, clock: Clock) -> Desk:
    return await press(store, clock)


def notified(desk: Desk, id_: str = "", wished_on: date | None = None) -> Terminate:
    return Terminate(id=id_ or str(uuid4()), asked_at=desk.clock(), wished_on=wished_on)


async def by_words(desk: Desk, reference: str, address: str = ADA.address) -> str:
    """A notification from the page that asks for no link; its id."""
    act = notified(desk)
    await desk.terminate_unknown(SHOP.id, reference, act, msgspec.structs.replace(ADA, address=address))
    await works(desk)
    return act.id


async def confirmed(store: Store, order_id: UUID) -> list[tuple[str, str]]:
    """The confirmations: of which notification, and the day of the end."""
    found = await told(store, order_id, "termination.confirmed")
    return [(str(one.facts["notified_at"]), str(one.facts["ends_on"])) for one in found]


async def test_each_notification_is_confirmed_to_the_same_day(desk: Desk, store: Store, clock: Clock) -> None:
    order_id, contract = await subscribed(desk)
    clock.passes(days=30)
    first, second = notified(desk, "t1"), notified(desk, "t2")
    for act in (first, first, second, second, first):
        view = ok(await desk.terminate(SHOP.id, contract.id, act, ADA))
        assert view.contracts[0].termination.id == "t1"
    assert [ends for _, ends in await confirmed(store, order_id)] == ["2027-11-23", "2027-11-23"]
    steps = [one.facts["step"] for one in await noted(store, order_id, "order")]
    assert steps == ["terminated", "terminated_again"]


async def test_a_contract_that_is_over_is_confirmed_to_be(desk: Desk, store: Store, clock: Clock) -> None:
    order_id, contract = await subscribed(desk)
    ok(await desk.terminate(SHOP.id, contract.id, notified(desk, "t1"), ADA))
    clock.at = datetime(2027, 11, 24, 9, tzinfo=UTC)
    await Daily(desk).run(clock.at)
    over = await only(desk, order_id)
    assert over.ended_on == date(2027, 11, 23)
    ok(await desk.terminate(SHOP.id, contract.id, notified(desk, "t2"), ADA))
    assert await confirmed(store, order_id) == [
        ("2026-11-23T10:00:00+00:00", "2027-11-23"), ("2027-11-24T09:00:00+00:00", "2027-11-23"),
    ]  # fmt: skip
    assert (await only(desk, order_id)).termination == over.termination


async def test_words_that_name_a_contract_which_was_ended_are_confirmed_too(
    desk: Desk, store: Store, clock: Clock
) -> None:
    """By its number, or by that of the order; but no more than three letters an hour: the others wait."""
    order_id, contract = await subscribed(desk)
    for reference in (contract.number, contract.number, str(order_id)[:8], contract.number, contract.number):
        clock.passes(minutes=1)
        await by_words(desk, reference)
    assert len(await confirmed(store, order_id)) == 4, "the first, and three within the hour"
    assert len(await desk.strays(SHOP.id, state="matched")) == 4
    clock.passes(hours=2)
    await works(desk)
    assert len(await confirmed(store, order_id)) == 5
    assert {ends for _, ends in await confirmed(store, order_id)} == {"2027-11-23"}
    assert await desk.strays(SHOP.id) == []


async def test_the_shop_says_which_contract_a_notification_ends_and_it_counts_from_when_it_was_made(
    desk: Desk, store: Store, clock: Clock
) -> None:
    order_id, contract = await subscribed(desk)
    clock.at = datetime(2027, 7, 24, 9, tzinfo=UTC)
    await Daily(desk).run(clock.at)
    clock.at = datetime(2027, 10, 23, 21, 30, tzinfo=UTC)  # the last day of refusal, in Paris
    id_ = await by_words(desk, "mon magazine", "autre@example.org")
    (received,) = await told(store, UUID(id_), "termination.received")
    assert received.to == "autre@example.org"
    assert contract.number not in str(received.facts), "it reveals nothing"
    clock.at = datetime(2027, 12, 1, 9, tzinfo=UTC)
    await Daily(desk).run(clock.at)
    assert [one.valid for one in (await only(desk, order_id)).renewals] == [True]
    for _ in range(2):
        found = await desk.match_termination(SHOP.id, id_, contract.id)
        assert isinstance(found, Contract)
        assert found.termination is not None
        assert (found.termination.ends_on, found.renewals) == (date(2027, 11, 23), ())
    assert await confirmed(store, order_id) == [("2027-10-23T21:30:00+00:00", "2027-11-23")] * 2
    sent = {one.to for one in await told(store, order_id, "termination.confirmed")}
    assert sent == {"k1@example.org", "autre@example.org"}
    assert await desk.strays(SHOP.id) == []
    await Daily(desk).run(clock.at)
    assert (await only(desk, order_id)).ended_on == date(2027, 11, 23)


async def test_what_is_no_notification_is_not_matched(desk: Desk, clock: Clock) -> None:
    order_id, contract = await subscribed(desk)
    id_ = await by_words(desk, "mon magazine", "autre@example.org")
    for stray, of, field in ((str(uuid4()), contract.id, "stray_id"), (id_, str(uuid4()), "contract_id")):
        refused = await desk.match_termination(SHOP.id, stray, of)
        assert isinstance(refused, Refusal)
        assert refused.field == field
    assert isinstance(await desk.match_termination("other", id_, contract.id), Refusal)
    withdrawal = await desk.state_unknown(SHOP.id, "rien", ADA)
    assert isinstance(await desk.match_termination(SHOP.id, withdrawal.statement_id, contract.id), Refusal)
    ok(await desk.close_stray(SHOP.id, id_))
    assert isinstance(await desk.match_termination(SHOP.id, id_, contract.id), Refusal)
    assert (await only(desk, order_id)).termination is None
    earlier = await by_words(desk, "mon magazine", "autre@example.org")
    clock.passes(days=3)
    _, later = await subscribed(desk, "k2")
    refused = await desk.match_termination(SHOP.id, earlier, later.id)
    assert isinstance(refused, Refusal)
    assert (refused.field, refused.article) == ("asked_at", "D215-2")


async def test_a_notice_that_bounces_after_the_renewal_frees_him(desk: Desk, store: Store, clock: Clock) -> None:
    """Also who had been held to another term: he hears that he left when he said."""
    order_id, contract = await subscribed(desk)
    clock.at = datetime(2027, 7, 22, 9, tzinfo=UTC)
    await lives(desk, clock, date(2027, 7, 24))
    (notice,) = await told(store, order_id, "renewal.notice")
    clock.at = datetime(2027, 11, 25, 9, tzinfo=UTC)
    await Daily(desk).run(clock.at)
    paid = Advance(
        id="a1", paid_on=date(2027, 11, 24), minor=900, from_on=date(2027, 11, 23), until_on=date(2027, 12, 22)
    )
    ok(await desk.record_advance(SHOP.id, contract.id, paid))
    view = ok(await desk.terminate(SHOP.id, contract.id, notified(desk, "t1"), ADA))
    assert view.contracts[0].termination.ends_on == date(2028, 11, 23)
    clock.passes(days=2)
    for _ in range(2):
        await desk.message_sent(bounced(notice, clock))
    of = await only(desk, order_id)
    assert [(one.on, one.valid) for one in of.renewals] == [(date(2027, 11, 23), False)]
    assert of.termination is not None
    assert (of.termination.ends_on, of.termination.free) == (date(2027, 11, 25), True)
    (due,) = (await seen(desk, order_id)).after.dues
    assert (due.regime, due.amount_minor, due.notice_on) == ("renewal", 840, date(2027, 11, 25))
    assert [ends for _, ends in await confirmed(store, order_id)] == ["2028-11-23", "2027-11-25"]
    await Daily(desk).run(clock.at)
    assert (await only(desk, order_id)).ended_on == date(2027, 11, 25)
    steps = [one.facts["step"] for one in await noted(store, order_id, "order")]
    assert steps[-3:] == ["renewal_untold", "terminated", "contract_ended"]


async def test_a_months_term_is_announced_in_its_window_and_left_where_it_could_not_be(
    store: Store, clock: Clock
) -> None:
    desk = await press(store, clock, term_months=1, refusal_days=0, duration="1 mois")
    order_id, contract = await subscribed(desk)
    await lives(desk, clock, date(2027, 2, 25))
    notices = await told(store, order_id, "renewal.notice")
    assert [one.facts["renews_on"] for one in notices] == ["2027-01-23", "2027-02-23", "2027-03-23", "2027-04-23"]
    of = await only(desk, order_id)
    assert [(one.on, one.valid) for one in of.renewals] == [
        (date(2026, 12, 23), False), (date(2027, 1, 23), True), (date(2027, 2, 23), True),
    ]  # fmt: skip
    view = ok(await desk.terminate(SHOP.id, contract.id, notified(desk), ADA))
    assert view.contracts[0].termination.ends_on == date(2027, 3, 23)


async def test_in_a_free_trial_it_ends_at_once_and_what_was_paid_for_after_it_goes_back(
    store: Store, clock: Clock
) -> None:
    desk = await press(store, clock, trial_days=30, free_trial=True)
    order_id, contract = await subscribed(desk)
    assert contract.trial_until == date(2026, 12, 22)
    paid = Advance(
        id="a1", paid_on=date(2026, 11, 23), minor=900, from_on=date(2026, 12, 23), until_on=date(2027, 1, 22)
    )
    ok(await desk.record_advance(SHOP.id, contract.id, paid))
    clock.at = datetime(2026, 12, 22, 22, 59, 59, tzinfo=UTC)
    view = ok(await desk.terminate(SHOP.id, contract.id, notified(desk), ADA))
    assert view.contracts[0].termination.effects == "trial"
    assert [one.amount_minor for one in view.after.dues] == [900]
    (letter,) = await told(store, order_id, "termination.confirmed")
    assert letter.facts["ends_on"] == "2026-12-22"
