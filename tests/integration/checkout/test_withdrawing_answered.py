"""Acknowledgements of withdrawals: proof that stays, and letters to addresses that anybody may type."""

import pytest

from relance.events.messages import MessageOutcome, MessageRequest, outcome_id, request_id
from services.checkout.application.aftercaring import Words, opened_words
from services.checkout.application.desk import Desk
from services.checkout.domain.aftercare import Stray
from services.checkout.domain.orders import Order
from services.checkout.store import Store
from tests.integration.checkout.desk_kit import SHOP, Clock, ok
from tests.integration.checkout.test_withdrawing import (
    _of,
    aftercare_of,
    bought,
    entries,
    messages,
    stated,
    works,
)  # fmt: skip


async def test_the_proof_of_an_acknowledgement_outlives_that_its_order_is_found(
    desk: Desk, store: Store, clock: Clock
) -> None:  # fmt: skip
    order_id = await bought(desk)
    said = await desk.state_unknown(SHOP.id, "la lampe", _of("k1@example.org"))
    await works(desk)
    (letter,) = [one for one in await messages(store) if one.kind == "withdrawal.acknowledged"]
    assert letter.body_sha256 is not None
    ok(await desk.match_stray(SHOP.id, said.statement_id, order_id))
    async with store.reading() as tx:
        bodies = [await tx.blob(SHOP.id, one) for one in (letter.body_sha256.html, letter.body_sha256.text)]
    assert all(bodies), "it is fetched after the order was found, and sent"
    came = MessageOutcome(
        id=outcome_id(letter.id, "accepted"), request_id=letter.id, shop=SHOP.id, kind=letter.kind,
        order_id=letter.order_id, outcome="accepted", at=clock.at,
    )  # fmt: skip
    await desk.message_sent(came)
    proofs = [
        one.document for one in await entries(store, order_id) if one.facts.get("step") == "acknowledged"
    ]  # fmt: skip
    (proof,) = proofs
    assert proof is not None
    assert proof.sealed is not None
    async with store.reading() as tx:
        stray = await tx.get(Stray, SHOP.id, said.statement_id)
        assert stray is not None
        assert await tx.blob(SHOP.id, proof.sealed.blob) == bodies[0]
        assert await opened_words(tx, SHOP.id, stray.content) is None, "what lay under its own key is gone"


async def test_acknowledgements_of_an_order_to_an_address_that_was_typed_are_put_off_and_never_dropped(
    desk: Desk, store: Store, clock: Clock
) -> None:  # fmt: skip
    order_id = await bought(desk)
    for place in range(6):
        to = Words(name="Ada", address="victim@example.org" if place % 3 else "K1@example.org")
        ok(await desk.state_withdrawal(SHOP.id, order_id, stated(desk), to))
    await desk.state_unknown(SHOP.id, "commande", _of("victim@example.org"))
    await works(desk)
    sent = [one.to.casefold() for one in await messages(store) if one.kind == "withdrawal.acknowledged"]
    assert (sent.count("victim@example.org"), sent.count("k1@example.org")) == (3, 2), "the order's own is not counted"
    for _ in range(8):
        clock.passes(minutes=15)
        await works(desk)
    sent = [one.to.casefold() for one in await messages(store) if one.kind == "withdrawal.acknowledged"]
    assert (sent.count("victim@example.org"), sent.count("k1@example.org")) == (5, 2)
    statements = (await aftercare_of(desk, order_id)).after.statements
    assert all(one.acknowledged_at is not None for one in statements)


async def _comes_back(desk: Desk, letter: MessageRequest, times: int = 1) -> None:
    came = MessageOutcome(
        id=outcome_id(letter.id, "bounced"), request_id=letter.id, shop=SHOP.id, kind=letter.kind,
        order_id=letter.order_id, outcome="bounced", at=desk.clock(), status="5.1.1",
    )  # fmt: skip
    for _ in range(times):
        await desk.message_sent(came)


async def test_an_acknowledgement_that_comes_back_was_none(desk: Desk, store: Store) -> None:
    order_id = await bought(desk)
    for address in ("k1@example.org", "wrong@example.org"):
        ok(await desk.state_withdrawal(SHOP.id, order_id, stated(desk, {"1": 1}), Words(name="Ada", address=address)))
    await works(desk)
    (letter,) = [one for one in await messages(store) if one.to == "wrong@example.org"]
    await _comes_back(desk, letter, 2)
    said = (await aftercare_of(desk, order_id)).after.statements
    assert [one.acknowledged_at is None for one in said] == [False, True], "only the one that it was about"
    assert [one.id for one in await desk.withdrawals(SHOP.id, "open")] == [str(order_id)]


@pytest.mark.parametrize("found", [False, True])
async def test_a_strays_acknowledgement_that_comes_back_was_none(desk: Desk, store: Store, *, found: bool) -> None:
    order_id = await bought(desk)
    said = await desk.state_unknown(SHOP.id, "la lampe", _of("wrong@example.org"))
    await works(desk)
    (letter,) = [one for one in await messages(store) if one.to == "wrong@example.org"]
    if found:
        ok(await desk.match_stray(SHOP.id, said.statement_id, order_id))
    await _comes_back(desk, letter)
    if found:
        (statement,) = (await aftercare_of(desk, order_id)).after.statements
        assert statement.acknowledged_at is None
    else:
        (stray,) = await desk.strays(SHOP.id)
        assert stray.acknowledged_at is None


async def test_a_confirmation_that_comes_back_takes_no_right_away(desk: Desk, store: Store) -> None:
    order_id = await bought(desk)
    async with store.transaction() as tx:
        order = await tx.get(Order, SHOP.id, str(order_id))
        assert order is not None
        await desk.confirmed_in(tx, order)
    assert (await aftercare_of(desk, order_id)).after.confirmed_at is not None
    letter = MessageRequest(
        id=request_id(order_id, "order.confirmation", 0), shop=SHOP.id, kind="order.confirmation", order_id=order_id,
        to="k1@example.org", requested_at=desk.clock(),
    )  # fmt: skip
    await _comes_back(desk, letter)
    assert (await aftercare_of(desk, order_id)).after.confirmed_at is None
