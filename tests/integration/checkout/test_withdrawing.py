"""Withdrawals at the desk: stated, acknowledged, decided, matched; on both databases."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry

from relance.custody.checkpoint_file import CheckpointFile
from relance.events.messages import MessageOutcome, MessageRequest, decode_request, outcome_id
from relance.evidence.entries import Entry, decode
from relance.evidence.examination import examine, export
from relance.evidence.personal import text_of
from relance.rules.law.book import RULES
from services.checkout.adapters.printing import Printing
from services.checkout.application.aftercaring import AfterView, Words, opened_words
from services.checkout.application.desk import Desk
from services.checkout.application.effects import EffectRunner
from services.checkout.application.erasing import person_of
from services.checkout.domain.aftercare import Aftercare, Stray
from services.checkout.domain.orders import Deliver, Order, Received, Ship
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.records import PressActs
from services.checkout.domain.statements import AcceptAnyway, ProveUnsealed, RecordReturn, StateWithdrawal
from services.checkout.metrics import DeskMetrics
from services.checkout.store import (
    Sealing,
    Store,
    dossier_of,
    find_chains,
    verify_store,
)  # fmt: skip
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, now_utc, ok, ordered
from tests.integration.checkout.evidence_kit import KEY, PUBLIC
from tests.integration.checkout.payments_kit import _unprinted as unprinted

MINUTE = timedelta(minutes=1)
ADA = Words(name="Ada Martin", text="Je renonce à la lampe.", address="k1@example.org")


async def works(desk: Desk) -> None:
    """Do all that is due now."""
    await EffectRunner(desk, unprinted, DeskMetrics(CollectorRegistry())).drain()


async def bought(desk: Desk, *, quantity: int = 2, key: str = "k1", received: bool = True) -> UUID:
    """Lamps that were paid by transfer, sent, and received."""
    order_id = (await ordered(desk, await at_recap(desk, key, quantity=quantity, means="transfer"))).order_id
    view = ok(await desk.order(SHOP.id, order_id))
    paid = Received(amount_minor=view.order.total_minor, received_at=desk.clock())
    ok(await desk.act(SHOP.id, order_id, paid))
    await works(desk)
    ok(await desk.act(SHOP.id, order_id, Ship(parcel_id="p1", units={view.order.lines[0].id: quantity})))
    if received:
        ok(await desk.act(SHOP.id, order_id, Deliver(parcel_id="p1", received_by="consumer")))
    await works(desk)
    return order_id


def stated(desk: Desk, units: dict[str, int] | None = None, **more: Any) -> StateWithdrawal:
    at = more.pop("at", desk.clock())
    return StateWithdrawal(
        id=more.pop("id", str(uuid4())), channel=more.pop("channel", "web"), stated_at=at,
        received_at=more.pop("received_at", at), units=units or {},
    )  # fmt: skip


async def messages(store: Store) -> list[MessageRequest]:
    told = await Outbox(store.database, lambda: 0).unsent(10_000)
    return [decode_request(one.value) for one in told if one.topic == "checkout.messages.v1"]


async def effects(store: Store, clock: Clock) -> list[str]:
    async with store.transaction() as tx:
        return [f"{one.kind} {one.ref}".strip() for one in await tx.effects(100, clock.at)]


async def entries(store: Store, order_id: object) -> list[Entry]:
    async with store.reading() as tx:
        return [decode(one) for one in await tx.entries(SHOP.id, str(order_id))]


async def aftercare_of(desk: Desk, order_id: UUID) -> AfterView:
    found = ok(await desk.aftercare(SHOP.id, order_id))
    assert isinstance(found, AfterView)
    return found


async def test_a_statement_is_on_record_before_it_is_decided(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk)
    clock.passes(days=3)
    act = stated(desk, {"1": 1})
    view = ok(await desk.state_withdrawal(SHOP.id, order_id, act, ADA))
    (statement,) = view.after.statements
    assert [(one.line_id, one.units, one.outcome) for one in statement.decisions] == [("1", 1, "accepted")]
    assert view.order_view.order.lines[0].withdrawn == 1
    assert [(due.amount_minor, due.shipped) for due in view.after.dues] == [(4990, True)]
    assert view.deadlines["1"].last_day is not None
    queued = [one for one in await effects(store, clock) if one != "acknowledge"]
    assert queued[:3] == [
        f"write_letter withdrawal.acknowledged#{act.id}", f"write_letter withdrawal.decided#{act.id}",
        "acknowledge_withdrawal",
    ]  # fmt: skip
    kept = [one for one in await entries(store, order_id) if one.what == "withdrawal"]
    assert [(one.act, [rule.id for rule in one.rules]) for one in kept] == [
        ("declared", ["B04", "B06", "B09"]), ("happened", ["B01", "B02"]),
    ]  # fmt: skip
    async with store.reading() as tx:
        assert await opened_words(tx, SHOP.id, statement.content) == ADA
    assert [one.id for one in await desk.withdrawals(SHOP.id, "open")] == [str(order_id)]
    assert await desk.withdrawals(SHOP.id, after=str(order_id)) == []
    raw = b"".join(await _raw(store, order_id))
    assert b"Ada" not in raw
    assert b"lampe." not in raw


async def test_the_record_of_a_withdrawal_proves_itself_and_outlives_an_erasure(
    desk: Desk, store: Store, clock: Clock, tmp_path: Path
) -> None:  # fmt: skip
    clock.at = now_utc() - timedelta(hours=1)  # it is sealed by the machine's clock
    order_id = await bought(desk)
    ok(await desk.state_withdrawal(SHOP.id, order_id, stated(desk, {"1": 1}), ADA))
    await works(desk)
    log = CheckpointFile(tmp_path / "log")
    await Sealing(store, log, KEY).seal_now()
    (place,) = await find_chains(store, str(order_id))
    dossier = await dossier_of(store, place, log.lines(), opened=True)
    page = export(dossier)
    assert examine(page, PUBLIC, log.lines()).verification.findings == ()
    assert "rétractation" in page.decode()
    assert any("Je renonce" in text_of(one) for one in dossier.opened.values())
    content = (await aftercare_of(desk, order_id)).after.statements[0].content
    subject = await person_of(store, SHOP.id, str(order_id))
    assert subject is not None
    async with store.transaction() as tx:
        assert await tx.erase(SHOP.id, subject)
    async with store.reading() as tx:
        assert await opened_words(tx, SHOP.id, content) is None
    verified = await verify_store(store, log.lines(), PUBLIC)
    assert verified.findings == ()


async def test_fifty_clicks_are_one_statement(desk: Desk, store: Store) -> None:
    order_id = await bought(desk)
    act = stated(desk, {"1": 1})
    views = await asyncio.gather(*(desk.state_withdrawal(SHOP.id, order_id, act, ADA) for _ in range(50)))
    assert {len(ok(view).after.statements) for view in views} == {1}
    kept = [one for one in await entries(store, order_id) if one.act == "declared" and one.what == "withdrawal"]
    assert len(kept) == 1
    assert (await aftercare_of(desk, order_id)).order_view.order.lines[0].withdrawn == 1


async def test_another_address_is_answered_and_the_orders_own_is_told(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk)
    other = Words(name="Ada", text="tout", address="ailleurs@example.org")
    ok(await desk.state_withdrawal(SHOP.id, order_id, stated(desk), other))
    (noticed,) = [one for one in await messages(store) if one.kind == "withdrawal.noticed"]
    assert noticed.to == "k1@example.org"
    assert str(noticed.facts["link"]).startswith("http://127.0.0.1:8084/v/")
    assert noticed.facts["recorded_at"] == clock.at.isoformat(), "it counts: the letter may not say that nothing did"


async def test_whole_before_anything_left_all_goes_back(desk: Desk, store: Store) -> None:
    order_id = (await ordered(desk, await at_recap(desk, means="transfer"))).order_id
    total = ok(await desk.order(SHOP.id, order_id)).order.total_minor
    ok(await desk.act(SHOP.id, order_id, Received(amount_minor=total, received_at=desk.clock())))
    view = ok(await desk.state_withdrawal(SHOP.id, order_id, stated(desk), ADA))
    assert view.order_view.order.state == "cancelled"
    assert [due.amount_minor for due in view.after.dues] == [total]
    assert view.after.dues[0].refund_ids == tuple(one.id for one in view.order_view.order.refunds)


async def test_a_late_letter_is_recorded_and_the_shop_may_take_it(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk)
    clock.passes(days=20)
    late = stated(desk, channel="letter")
    view = ok(await desk.state_withdrawal(SHOP.id, order_id, late, ADA))
    assert [one.outcome for one in view.after.statements[0].decisions] == ["late"]
    assert (view.order_view.order.lines[0].withdrawn, view.after.dues) == (0, ())
    kinder = ok(await desk.answer_withdrawal(SHOP.id, order_id, AcceptAnyway(statement_id=late.id)))
    assert (kinder.order_view.order.lines[0].withdrawn, len(kinder.after.dues)) == (2, 1)
    back = RecordReturn(statement_id=late.id, on=desk.clock().date())
    view = ok(await desk.answer_withdrawal(SHOP.id, order_id, back))
    assert view.after.dues[0].recovered_on == desk.clock().date()
    refused = await desk.answer_withdrawal(SHOP.id, order_id, ProveUnsealed(line_id="1", on=desk.clock().date()))
    assert isinstance(refused, Refusal)
    assert (refused.rule, refused.article) == ("B17", "L221-28")


async def test_times_that_cannot_be_are_refused_and_nothing_is_kept(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk)
    before = await entries(store, order_id)
    wrong = stated(desk, received_at=clock.at.replace(year=2025))
    refused = await desk.state_withdrawal(SHOP.id, order_id, wrong, ADA)
    assert isinstance(refused, Refusal)
    assert (refused.field, refused.article) == ("received_at", "L221-21 al. 1")
    assert await entries(store, order_id) == before
    unknown = await desk.state_withdrawal(SHOP.id, uuid4(), stated(desk), ADA)
    assert isinstance(unknown, Refusal)
    elsewhere = await desk.state_withdrawal("another", order_id, stated(desk), ADA)
    assert isinstance(elsewhere, Refusal)


# -- statements that come without a link ------------------------------------------------------------------------------


async def test_number_and_address_find_the_order_after_the_answer(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk)
    nonce = str(uuid4())
    said = await desk.state_unknown(
        SHOP.id, f"commande {str(order_id)[:8].upper()}", _of("K1@example.org"), None, nonce
    )
    again = await desk.state_unknown(SHOP.id, "autre chose", _of("x@example.org"), None, nonce)
    assert (said, again.statement_id) == (again, nonce)
    clock.passes(hours=1)
    await works(desk)
    view = await aftercare_of(desk, order_id)
    assert [(one.id, one.stated_at) for one in view.after.statements] == [(nonce, said.at)]
    assert view.order_view.order.lines[0].withdrawn == 2
    assert await desk.strays(SHOP.id) == []


@pytest.mark.parametrize("named", ["the order", "another"])
async def test_what_is_not_sure_is_kept_and_says_the_same(desk: Desk, store: Store, named: str) -> None:
    order_id = await bought(desk)
    known = named == "the order"
    reference = str(order_id) if known else str(uuid4())
    said = await desk.state_unknown(SHOP.id, reference, _of("autre@example.org"))
    assert isinstance(UUID(said.statement_id), UUID)
    await works(desk)
    (stray,) = await desk.strays(SHOP.id)
    assert (stray.id, stray.state, stray.candidate) == (said.statement_id, "open", str(order_id) if known else "")
    noticed = [one for one in await messages(store) if one.kind == "withdrawal.noticed"]
    assert [one.to for one in noticed] == (["k1@example.org"] if known else [])
    assert not any("recorded_at" in one.facts for one in noticed), "nothing was changed"
    assert (await aftercare_of(desk, order_id)).after.statements == ()
    words = await desk.stray_words(SHOP.id, stray.id)
    assert words is not None
    assert (words.reference, words.address) == (reference, "autre@example.org")


async def test_a_part_in_words_waits_for_the_shop_and_counts_from_when_it_was_made(
    desk: Desk, store: Store, clock: Clock
) -> None:  # fmt: skip
    order_id = await bought(desk)
    clock.passes(days=10)
    words = Words(name="Ada", text="seulement une lampe", address="k1@example.org")
    said = await desk.state_unknown(SHOP.id, str(order_id)[:8], words)
    await works(desk)
    (stray,) = await desk.strays(SHOP.id)
    assert stray.candidate == str(order_id)
    clock.passes(days=30)
    view = ok(await desk.match_stray(SHOP.id, stray.id, order_id, {"1": 1}))
    assert [(one.id, one.stated_at) for one in view.after.statements] == [(stray.id, said.at)]
    assert view.order_view.order.lines[0].withdrawn == 1
    async with store.reading() as tx:
        kept = await opened_words(tx, SHOP.id, view.after.statements[0].content)
    assert kept is not None
    assert (kept.text, kept.reference) == ("seulement une lampe", str(order_id)[:8])
    assert await desk.stray_words(SHOP.id, stray.id) is None
    again = ok(await desk.match_stray(SHOP.id, stray.id, order_id, {"1": 1}))
    assert again.after.statements == view.after.statements
    assert isinstance(await desk.close_stray(SHOP.id, stray.id), Refusal)


async def test_a_statement_about_nothing_of_ours_is_closed(desk: Desk, store: Store) -> None:
    said = await desk.state_unknown(SHOP.id, "mon canapé", _of("x@example.org"))
    closed = ok(await desk.close_stray(SHOP.id, said.statement_id))
    assert isinstance(closed, Stray)
    assert (closed.state, await desk.close_stray(SHOP.id, said.statement_id)) == ("closed", closed)
    assert isinstance(await desk.match_stray(SHOP.id, said.statement_id, uuid4()), Refusal)
    assert isinstance(await desk.close_stray(SHOP.id, str(uuid4())), Refusal)


async def test_a_look_opens_what_an_order_needs_and_changes_nothing_twice(desk: Desk, store: Store) -> None:
    order_id = await bought(desk)
    async with store.reading() as tx:
        first = await tx.get(Aftercare, SHOP.id, str(order_id))
        order = await tx.get(Order, SHOP.id, str(order_id))
    assert first is not None
    assert order is not None
    assert [one.kind for one in first.sold] == ["goods"]
    assert {one.mode for one in first.offered} == {"home", "express", "relay"}
    await desk.look_after(SHOP.id, order_id)
    second = (await aftercare_of(desk, order_id)).after
    assert (second.version, second.sold, second.told) == (first.version + 1, first.sold, first.told)


def _of(address: str) -> Words:
    return Words(name="Ada Martin", address=address)


async def _raw(store: Store, order_id: UUID) -> list[bytes]:
    async with store.reading() as tx:
        return await tx.entries(SHOP.id, str(order_id))


async def test_letters_to_an_address_that_anybody_typed_are_put_off_and_never_dropped(
    desk: Desk, store: Store, clock: Clock
) -> None:  # fmt: skip
    for place in range(5):
        await desk.state_unknown(SHOP.id, f"commande {place}", _of("victim@example.org"))
        clock.passes(seconds=1)
    await works(desk)
    assert len([one for one in await messages(store) if one.to == "victim@example.org"]) == 3
    assert len(await desk.strays(SHOP.id)) == 5
    for _ in range(8):
        clock.passes(minutes=15)
        await works(desk)
    assert len([one for one in await messages(store) if one.to == "victim@example.org"]) == 5
    assert all(one.acknowledged_at is not None for one in await desk.strays(SHOP.id))


async def test_what_became_of_a_strays_letter_is_on_its_own_record(desk: Desk, store: Store, clock: Clock) -> None:
    said = await desk.state_unknown(SHOP.id, "mon canapé", _of("x@example.org"))
    await works(desk)
    (letter,) = [one for one in await messages(store) if one.to == "x@example.org"]
    assert (letter.kind, str(letter.order_id)) == ("withdrawal.acknowledged", said.statement_id)
    came = MessageOutcome(
        id=outcome_id(letter.id, "accepted"), request_id=letter.id, shop=SHOP.id, kind=letter.kind,
        order_id=letter.order_id, outcome="accepted", at=clock.at, message_id="<m@lumen>",
    )  # fmt: skip
    await desk.message_sent(came)
    await desk.message_sent(came)
    kept = [(one.act, one.what) for one in await entries(store, said.statement_id)]
    assert kept == [("declared", "withdrawal"), ("happened", "withdrawal"), ("happened", "message")]


async def test_the_confirmation_begins_the_aftercare_of_digital_content(desk: Desk, store: Store, clock: Clock) -> None:
    printing = Printing(RULES)
    try:
        view = await at_recap(desk, sku="F-1", means="transfer")
        acts = PressActs(button_text=view.button.text, early_start=True, loss_acknowledged=True)
        order_id = (await ordered(desk, view, acts)).order_id
        paid = Received(amount_minor=view.sums.total_minor, received_at=desk.clock())
        ok(await desk.act(SHOP.id, order_id, paid))
        clock.passes(minutes=1)
        await EffectRunner(desk, printing.confirmation, DeskMetrics(CollectorRegistry())).drain()
    finally:
        printing.close()
    after = (await aftercare_of(desk, order_id)).after
    assert (after.confirmed_at, after.sold[0].kind) == (clock.at, "digital")
    assert (after.sold[0].requested_at, after.sold[0].loss_at) == (clock.at - MINUTE, clock.at - MINUTE)
