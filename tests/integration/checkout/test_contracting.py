"""Subscriptions and guarantee claims at the desk, day by day; on both databases."""

from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import msgspec
import pytest

from services.checkout.application.aftercaring import Words, opened_words
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.domain.claims import OpenClaim, RefuseClaim, RepairClaim, TakeClaim
from services.checkout.domain.contracts import Advance, Contract, Terminate
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.statements import StateWithdrawal
from services.checkout.store import Store
from tests.integration.checkout.contracts_kit import ADA, bounced, lives, noted, press, seen, subscribed, told
from tests.integration.checkout.desk_kit import SHOP, Clock, ok
from tests.integration.checkout.owing_kit import bought, works


@pytest.fixture
async def desk(store: Store, clock: Clock) -> Desk:
    return await press(store, clock)


async def by_post(desk: Desk, order_id: UUID) -> list[str]:
    """The contracts whose end is to be confirmed by post."""
    alerts = (await seen(desk, order_id)).order_view.alerts
    return [one.detail for one in alerts if one.kind == "termination.by_post"]


async def test_a_contract_is_announced_renewed_and_ended(desk: Desk, store: Store, clock: Clock) -> None:
    order_id, contract = await subscribed(desk)
    assert (contract.started_on, contract.term_months) == (date(2026, 11, 23), 12)
    clock.at = datetime(2027, 7, 20, 9, tzinfo=UTC)
    await lives(desk, clock, date(2027, 12, 1))
    (notice,) = await told(store, order_id, "renewal.notice")
    assert notice.facts["refusal_until"] == "2027-10-23"
    assert notice.facts["renews_on"] == "2027-11-23"
    link = str(notice.facts["link"])
    assert link.endswith(f"/terminate/{SHOP.id}?lang=fr&contract={contract.number}"), "no token of it may die before"
    (contract,) = (await seen(desk, order_id)).contracts
    assert [(one.on, one.valid) for one in contract.renewals] == [(date(2027, 11, 23), True)]
    assert contract.notices == (date(2027, 7, 23),)
    act = Terminate(id="t1", asked_at=clock.at)
    ok(await desk.terminate(SHOP.id, contract.id, act, ADA))
    view = ok(await desk.terminate(SHOP.id, contract.id, act, ADA))
    assert view.contracts[0].termination.ends_on == date(2028, 11, 23)
    (confirmed,) = await told(store, order_id, "termination.confirmed")
    assert confirmed.facts["ends_on"] == "2028-11-23"
    assert "terme" in str(confirmed.facts["effects"])
    async with store.reading() as tx:
        assert await opened_words(tx, SHOP.id, view.contracts[0].termination.content) == ADA
    steps = [one.facts["step"] for one in await noted(store, order_id, "order")]
    assert steps == ["renewal_notice", "renewed", "terminated"]
    clock.at = datetime(2028, 11, 22, 9, tzinfo=UTC)
    await lives(desk, clock, date(2028, 11, 24))
    assert [one.ended_on for one in await desk.contracts(SHOP.id, state="ended")] == [date(2028, 11, 23)]
    assert await desk.contracts(SHOP.id, state="running") == []


async def test_a_notice_is_dated_by_the_day_on_which_it_leaves(desk: Desk, store: Store, clock: Clock) -> None:
    order_id, _ = await subscribed(desk)
    clock.at = datetime(2027, 10, 1, 9, tzinfo=UTC)
    await Daily(desk).run(datetime(2027, 9, 20, 9, tzinfo=UTC))
    assert len(await told(store, order_id, "renewal.notice")) == 1
    assert (await seen(desk, order_id)).contracts[0].notices == (date(2027, 10, 1),)
    (noticed,) = await noted(store, order_id, "order")
    assert noticed.facts["in_time"] is False


async def test_a_notice_that_bounces_is_none_and_is_sent_again(desk: Desk, store: Store, clock: Clock) -> None:
    order_id, _ = await subscribed(desk)
    clock.at = datetime(2027, 7, 22, 9, tzinfo=UTC)
    await lives(desk, clock, date(2027, 7, 24))
    (notice,) = await told(store, order_id, "renewal.notice")
    outcome = bounced(notice, clock)
    for _ in range(2):
        await desk.message_sent(outcome)
    assert (await seen(desk, order_id)).contracts[0].notices == ()
    await lives(desk, clock, date(2027, 8, 2))
    (contract,) = (await seen(desk, order_id)).contracts
    assert contract.notices == (date(2027, 7, 30),)
    assert [(one.on, one.failed) for one in contract.announced] == [
        (date(2027, 7, 23), True), (date(2027, 7, 30), False),
    ]  # fmt: skip
    assert len(await told(store, order_id, "renewal.notice")) == 2


async def test_one_that_comes_back_after_its_week_is_sent_again_at_once(
    desk: Desk, store: Store, clock: Clock
) -> None:  # fmt: skip
    order_id, _ = await subscribed(desk)
    clock.at = datetime(2027, 7, 22, 9, tzinfo=UTC)
    await lives(desk, clock, date(2027, 8, 1))
    (notice,) = await told(store, order_id, "renewal.notice")
    for _ in range(2):
        await desk.message_sent(bounced(notice, clock))
    assert (await seen(desk, order_id)).contracts[0].notices == (date(2027, 8, 1),)
    assert len(await told(store, order_id, "renewal.notice")) == 2


async def test_without_a_notice_he_leaves_and_advances_are_owed(desk: Desk, clock: Clock) -> None:
    order_id, contract = await subscribed(desk)
    clock.at = datetime(2027, 11, 25, 9, tzinfo=UTC)
    await Daily(desk).run(clock.at)
    paid = Advance(
        id="a1", paid_on=date(2027, 11, 24), minor=900, from_on=date(2027, 11, 23), until_on=date(2027, 12, 22)
    )
    ok(await desk.record_advance(SHOP.id, contract.id, paid))
    clock.passes(days=8)
    view = ok(await desk.terminate(SHOP.id, contract.id, Terminate(id="t1", asked_at=clock.at), ADA))
    (due,) = view.after.dues
    assert (due.regime, due.amount_minor, due.notice_on) == ("renewal", 600, date(2027, 12, 3))
    assert view.standings[due.id].due_on == date(2028, 1, 2)
    await Daily(desk).run(clock.at)
    assert (await seen(desk, order_id)).contracts[0].ended_on == date(2027, 12, 3)


async def test_an_advance_on_a_term_that_never_begins_is_owed_though_told_late(desk: Desk, clock: Clock) -> None:
    order_id, contract = await subscribed(desk)
    clock.passes(days=200)
    ok(await desk.terminate(SHOP.id, contract.id, Terminate(id="t1", asked_at=clock.at), ADA))
    paid = Advance(id="a1", paid_on=clock.at.date(), minor=900, from_on=date(2027, 11, 23), until_on=date(2027, 12, 22))
    for _ in range(2):
        ok(await desk.record_advance(SHOP.id, contract.id, paid))
    (due,) = (await seen(desk, order_id)).after.dues
    assert (due.amount_minor, due.notice_on) == (900, date(2027, 11, 23))


async def test_a_termination_is_confirmed_where_its_consumer_asked_for_it(
    desk: Desk, store: Store, clock: Clock
) -> None:
    order_id, contract = await subscribed(desk)
    words = msgspec.structs.replace(ADA, address="elsewhere@example.org")
    act = Terminate(id="t1", asked_at=clock.at)
    for _ in range(2):
        ok(await desk.terminate(SHOP.id, contract.id, act, words))
    sent = await told(store, order_id, "termination.confirmed")
    assert {one.to: "link" in one.facts for one in sent} == {"k1@example.org": True, "elsewhere@example.org": False}
    assert len(sent) == 2
    assert await by_post(desk, order_id) == []


async def test_a_termination_that_is_to_be_confirmed_by_post_is_shown_to_the_shop(
    desk: Desk, store: Store, clock: Clock
) -> None:
    order_id, contract = await subscribed(desk)
    words = msgspec.structs.replace(ADA, address="1 rue du Port, 29200 Brest")
    ok(await desk.terminate(SHOP.id, contract.id, Terminate(id="t1", asked_at=clock.at), words))
    assert [one.to for one in await told(store, order_id, "termination.confirmed")] == ["k1@example.org"]
    assert await by_post(desk, order_id) == [contract.number]


async def test_a_termination_that_names_no_contract_is_confirmed_as_received(
    desk: Desk, store: Store, clock: Clock
) -> None:
    order_id, contract = await subscribed(desk)
    wished = date(2027, 1, 4)
    acts = [Terminate(id=str(uuid4()), asked_at=clock.at, wished_on=wished) for _ in range(2)]
    others = msgspec.structs.replace(ADA, address="x@example.org")
    for act, words in zip(acts, (others, ADA), strict=True):
        for _ in range(2):
            await desk.terminate_unknown(SHOP.id, contract.number, act, words)
        assert (await seen(desk, order_id)).contracts[0].termination is None
    await works(desk)
    termination = (await seen(desk, order_id)).contracts[0].termination
    assert (termination.id, termination.wished_on) == (acts[1].id, wished)
    (received,) = await told(store, UUID(acts[0].id), "termination.received")
    assert (received.to, received.facts["number"]) == ("x@example.org", acts[0].id[:8])
    assert await told(store, UUID(acts[1].id), "termination.received") == []
    assert len(await told(store, order_id, "termination.confirmed")) == 1
    (stray,) = await desk.strays(SHOP.id)
    assert (stray.id, stray.acknowledged_at) == (acts[0].id, clock.at)
    assert [one.id for one in await desk.strays(SHOP.id, state="matched")] == [acts[1].id]


async def test_a_withdrawn_subscription_is_over(desk: Desk, clock: Clock) -> None:
    order_id, _ = await subscribed(desk)
    clock.passes(days=2)
    act = StateWithdrawal(id="s1", channel="web", stated_at=clock.at, received_at=clock.at)
    ok(await desk.state_withdrawal(SHOP.id, order_id, act, ADA))
    await works(desk)
    assert (await seen(desk, order_id)).contracts[0].withdrawn_on == date(2026, 11, 25)


async def test_what_is_no_contract_is_not_ended(desk: Desk, clock: Clock) -> None:
    _, contract = await subscribed(desk)
    act = Terminate(id="t1", asked_at=clock.at)
    assert isinstance(await desk.terminate("other", contract.id, act, ADA), Refusal)
    past = msgspec.structs.replace(act, wished_on=date(2026, 11, 22))
    refused = await desk.terminate(SHOP.id, contract.id, past, ADA)
    assert isinstance(refused, Refusal)
    assert (refused.field, refused.article) == ("wished_on", "D215-2")
    assert await desk.look(lambda tx: tx.get(Contract, SHOP.id, contract.id)) == contract


async def test_a_claim_from_words_to_repair(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk, "k1", 2)
    clock.passes(days=40)
    act = OpenClaim(id="c1", line_id="1")
    said = Words(name="Ada Martin", text="Elle clignote.")
    ok(await desk.open_claim(SHOP.id, order_id, act, said))
    view = ok(await desk.open_claim(SHOP.id, order_id, act, said))
    (claim,) = view.after.claims
    async with store.reading() as tx:
        assert (await opened_words(tx, SHOP.id, claim.content)) == said
    ok(await desk.answer_claim(SHOP.id, order_id, TakeClaim(claim_id="c1", postage_minor=790)))
    view = await seen(desk, order_id)
    assert [(one.regime, one.amount_minor) for one in view.after.dues] == [("guarantee", 790)]
    (listed,) = await desk.claims(SHOP.id)
    assert (listed.order_id, listed.late_days) == (str(order_id), 0)
    clock.passes(days=31)
    await Daily(desk).run(clock.at)
    assert [one.late_days for one in await desk.claims(SHOP.id, "late")] == [1]
    ok(await desk.answer_claim(SHOP.id, order_id, RepairClaim(claim_id="c1", back_on=clock.at.date())))
    assert await desk.claims(SHOP.id) == []
    (repaired,) = await desk.claims(SHOP.id, "all")
    assert repaired.guarantee_until == date(2029, 6, 23)
    answers = await told(store, order_id, "claim.answered")
    assert [str(one.facts["answer"]) for one in answers] == [
        (
            "Nous prenons votre demande en charge : l'article est réparé ou remplacé au plus tard le 01/02/2027. "
            "Vos frais d'envoi, 7,90 EUR, vous sont remboursés au plus tard le 16/01/2027."
        ),
        (
            "Votre demande est satisfaite : l'article est réparé. "
            "La garantie légale de conformité court désormais jusqu'au 23/06/2029."
        ),
    ]
    steps = [one.facts.get("step", "opened") for one in await noted(store, order_id, "guarantees")]
    assert steps[-3:] == ["taken", "not_put_right", "repaired"]


async def test_a_refused_claim_names_the_mediator(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk, "k1", 1)
    ok(await desk.open_claim(SHOP.id, order_id, OpenClaim(id="c1", line_id="1"), ADA))
    ok(await desk.answer_claim(SHOP.id, order_id, RefuseClaim(claim_id="c1", reason="no_defect")))
    (letter,) = await told(store, order_id, "claim.answered")
    assert "Médiation Ouest" in str(letter.facts["answer"])
    assert str(letter.facts["answer"]).startswith("Nous n'y donnons pas suite : nous n'avons pas constaté")
    again = await desk.answer_claim(SHOP.id, order_id, RefuseClaim(claim_id="c1", reason="carrier"))
    assert isinstance(again, Refusal)


async def test_a_claim_after_the_guarantee_is_answered_with_why_and_the_mediator(
    desk: Desk, store: Store, clock: Clock
) -> None:  # fmt: skip
    order_id = await bought(desk, "k1", 1)
    clock.passes(days=900)
    ok(await desk.open_claim(SHOP.id, order_id, OpenClaim(id="c1", line_id="1"), ADA))
    (letter,) = await told(store, order_id, "claim.answered")
    assert "avait pris fin" in str(letter.facts["answer"])
    assert "Médiation Ouest" in str(letter.facts["answer"])
