"""Letters on withdrawals: each once, to whom it may concern, and what they say is kept."""

import asyncio
from uuid import UUID, uuid4

import pytest

from relance.events.messages import MessageRequest, decode_request
from relance.evidence.entries import decode
from services.checkout.application.aftercaring import Words
from services.checkout.domain.aftercare import Stray
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.statements import StateWithdrawal
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.desk_kit import SHOP
from tests.integration.checkout.payments_kit import Till

ACKNOWLEDGED, DECIDED = "withdrawal.acknowledged", "withdrawal.decided"


async def letters(till: Till, kind: str) -> list[MessageRequest]:
    told = await Outbox(till.store.database, lambda: 0).unsent(10_000)
    asked = [decode_request(one.value) for one in told if one.topic == "checkout.messages.v1"]
    return [one for one in asked if one.kind == kind]


async def text_of(till: Till, letter: MessageRequest) -> str:
    assert letter.body_sha256 is not None
    async with till.store.reading() as tx:
        text = await tx.blob(SHOP.id, letter.body_sha256.text)
    assert text is not None
    return text.decode()


async def stated(till: Till, order_id: UUID, address: str, text: str = "") -> str:
    said, id_ = till.clock(), str(uuid4())
    act = StateWithdrawal(id=id_, channel="web", stated_at=said, received_at=said, units={})
    found = await till.desk.state_withdrawal(
        SHOP.id, order_id, act, Words(name="Ada Martin", text=text, address=address)
    )
    assert not isinstance(found, Refusal), found
    return id_


async def test_a_statement_is_acknowledged_and_decided_once_however_often_it_is_asked_for(till: Till) -> None:
    order_id, _ = await till.presses("letters")
    id_ = await stated(till, order_id, "ada@example.org", "Je me rétracte.")
    await till.works()
    for kind in (ACKNOWLEDGED, DECIDED):
        await asyncio.gather(*(till.desk.write_letter(SHOP.id, order_id, kind, id_) for _ in range(6)))
    (acknowledged,), (decided,) = await letters(till, ACKNOWLEDGED), await letters(till, DECIDED)
    said = await text_of(till, acknowledged)
    for part in ("Ada Martin", "Je me rétracte.", "1 x Lampe", id_[:8], "heure de Paris"):
        assert part in said.replace("\u00a0", " "), part
    assert acknowledged.facts["stated_at"] == till.clock().isoformat()
    assert str(acknowledged.facts["subject"]).startswith("Accusé de réception")
    assert "rétractation acceptée" in await text_of(till, decided)
    async with till.store.reading() as tx:
        acts = [decode(one) for one in await tx.entries(SHOP.id, str(order_id))]
    steps = [act.facts.get("step") for act in acts if act.what == "withdrawal" and act.document is not None]
    assert (steps.count("acknowledged"), steps.count("answered")) == (1, 1)


async def test_who_gives_another_address_is_acknowledged_there_without_a_link_and_the_order_is_told(till: Till) -> None:
    order_id, _ = await till.presses("elsewhere")
    await stated(till, order_id, "someone@else.example")
    await till.works()
    (acknowledged,), (decided,) = await letters(till, ACKNOWLEDGED), await letters(till, DECIDED)
    (noticed,) = await letters(till, "withdrawal.noticed")
    assert acknowledged.to == "someone@else.example"
    assert decided.to == noticed.to != acknowledged.to
    assert "/v/" not in await text_of(till, acknowledged)
    assert "/v/" in await text_of(till, decided)


async def test_a_statement_that_names_no_order_is_acknowledged_where_it_came_from(till: Till) -> None:
    words = Words(name="Zoé", text="Je renonce à ma lampe.", address="zoe@example.org")
    said = await till.desk.state_unknown(SHOP.id, "la lampe de mardi", words)
    await till.works()
    for _ in range(3):
        await till.desk.write_letter(SHOP.id, UUID(said.statement_id), ACKNOWLEDGED, said.statement_id)
    (letter,) = await letters(till, ACKNOWLEDGED)
    assert (letter.to, str(letter.order_id)) == ("zoe@example.org", said.statement_id)
    text = await text_of(till, letter)
    assert "la lampe de mardi" in text
    assert "Je renonce à ma lampe." in text
    async with till.store.reading() as tx:
        stray = await tx.get(Stray, SHOP.id, said.statement_id)
    assert stray is not None
    assert stray.acknowledged_at == till.clock()


@pytest.mark.parametrize("address", ["", "nobody", "a@b c"])
async def test_where_there_is_nowhere_to_write_nothing_is_written(till: Till, address: str) -> None:
    said = await till.desk.state_unknown(SHOP.id, "x", Words(name="Zoé", address=address))
    await till.works()
    await till.desk.write_letter(SHOP.id, UUID(said.statement_id), ACKNOWLEDGED, said.statement_id)
    assert await letters(till, ACKNOWLEDGED) == []
