from datetime import timedelta

import msgspec
import pytest

from services.checkout.domain import checkouts
from services.checkout.domain.checkouts import (
    ChangeCart,
    ChooseDelivery,
    ChooseMeans,
    Contact,
    Expire,
    GiveContact,
    Press,
    ShowRecap,
    Supersede,
)  # fmt: skip
from tests.unit.checkout.story import (
    AT,
    CARD,
    CART,
    CHECKOUT_ID,
    CONTACT,
    CONTEXT,
    HOME,
    LAMPS,
    at_recap,
    data,
    did,
    refused,
    said,
    started,
    through,
)


def test_a_checkout_begins_with_its_cart_and_says_so() -> None:
    began = did(checkouts.begin(CHECKOUT_ID, CONTEXT, CART, AT))
    assert said(began) == ["checkout.started"]
    event = began.events[0]
    assert (event.visitorid, event.device, event.source) == ("v1", "mobile", "/shops/lumen/checkout")
    assert (event.data.cart_id, event.data.recovery_link_id, event.data.items) == ("c1", "r1", LAMPS)


def test_the_same_beginning_has_the_same_event_id() -> None:
    once, again = (checkouts.begin(CHECKOUT_ID, CONTEXT, CART, AT) for _ in range(2))
    assert once.events[0].id == again.events[0].id


def test_a_contact_is_captured_with_its_consents_and_the_objection() -> None:
    moved = did(checkouts.step(started(), CONTACT, AT))
    assert said(moved) == [
        "checkout.step_completed", "checkout.contact_captured", "consent.changed", "consent.changed",
    ]  # fmt: skip
    granted, objected = data(moved, 2), data(moved, 3)
    assert (granted["status"], granted["purpose"]) == ("granted", "marketing")
    assert (objected["status"], objected["purpose"], objected["text_version"]) == ("denied", "similar_goods", "2")
    assert moved.state.context.consent == {"email": True}
    assert len({event.id for event in moved.events}) == 4


def test_the_same_step_twice_says_nothing_twice() -> None:
    checkout = through(started(), CONTACT)
    assert did(checkouts.step(checkout, CONTACT, AT)).transition == ""
    corrected = GiveContact(contact=Contact(email="eve@example.org"), consents=CONTACT.consents, objected=True)
    assert said(did(checkouts.step(checkout, corrected, AT))) == [
        "checkout.step_completed", "checkout.contact_captured",
    ]  # fmt: skip


def test_no_consent_is_needed_to_go_on() -> None:
    checkout = through(started(), GiveContact(contact=Contact(email="ada@example.org")), HOME, CARD)
    assert checkout.state == "paying"


def test_the_states_follow_what_is_known() -> None:
    checkout = started()
    assert checkout.state == "open"
    for act, state in ((CONTACT, "contacted"), (HOME, "delivering"), (CARD, "paying")):
        checkout = through(checkout, act)
        assert checkout.state == state
    assert through(checkout, ShowRecap(recap_hash="h")).state == "recap"


@pytest.mark.parametrize(
    ("act", "field"),
    [
        (HOME, "contact"),
        (CARD, "contact"),
        (ShowRecap(recap_hash="h"), "checkout.state"),
        (GiveContact(contact=Contact(email="nobody")), "contact.email"),
        (ChangeCart(items=(), total_minor=0, needs_delivery=False), "lines"),
    ],
)
def test_steps_come_in_their_order(act: checkouts.Act, field: str) -> None:
    assert refused(checkouts.step(started(), act, AT)).field == field


def test_payment_comes_after_delivery_unless_nothing_is_delivered() -> None:
    assert refused(checkouts.step(through(started(), CONTACT), CARD, AT)).field == "delivery"
    digital = through(started(), ChangeCart(items=LAMPS, total_minor=9980, needs_delivery=False), CONTACT)
    assert refused(checkouts.step(digital, HOME, AT)).field == "delivery"
    assert through(digital, CARD).state == "paying"


@pytest.mark.parametrize(
    "act",
    [
        ChooseDelivery(mode="relay"),
        ChooseMeans(means="wallet"),
        ChangeCart(items=LAMPS, total_minor=9000, needs_delivery=True),
    ],
)
def test_a_change_after_the_recap_shows_the_recap_again(act: checkouts.Act) -> None:
    changed = through(at_recap("h"), act)
    assert (changed.state, changed.recap_hash) == ("paying", "")
    late = refused(checkouts.step(changed, Press(recap_hash="h", terms_accepted=True), AT))
    assert (late.field, late.rule) == ("recap.hash", "A07")


def test_the_button_orders_once() -> None:
    pressed = did(checkouts.step(at_recap("h"), Press(recap_hash="h", terms_accepted=True), AT))
    assert (pressed.state.state, said(pressed)) == ("ordered", ["checkout.step_completed"])
    again = did(checkouts.step(pressed.state, Press(recap_hash="h", terms_accepted=True), AT))
    assert again == (pressed.state, "", (), ())
    assert "already ordered" in refused(checkouts.step(pressed.state, HOME, AT)).reason


def test_the_button_needs_the_terms_the_hash_and_the_consumers_own_hand() -> None:
    checkout = at_recap("h")
    assert refused(checkouts.step(checkout, Press(recap_hash="h", terms_accepted=False), AT)).rule == "A09"
    assert refused(checkouts.step(checkout, Press(recap_hash="i", terms_accepted=True), AT)).rule == "A07"
    phone = Press(recap_hash="h", terms_accepted=True, channel="phone_outbound")
    assert refused(checkouts.step(checkout, phone, AT)).rule == "E13"


def test_a_checkout_expires_at_its_instant_and_not_before() -> None:
    checkout = started()
    assert checkouts.step(checkout, Expire(), checkout.expires_at - timedelta(microseconds=1)) == (checkout, "", (), ())
    expired = did(checkouts.step(checkout, Expire(), checkout.expires_at)).state
    assert expired.state == "expired"
    assert refused(checkouts.step(expired, CONTACT, AT)).field == "checkout.state"
    assert refused(checkouts.step(checkout, CONTACT, checkout.expires_at)).field == "checkout.expires_at"


def test_another_checkout_supersedes_it_once() -> None:
    gone = did(checkouts.step(started(), Supersede(by="other"), AT)).state
    assert gone.state == "superseded"
    assert checkouts.step(gone, Supersede(by="other"), AT) == (gone, "", (), ())
    assert refused(checkouts.step(gone, Supersede(by="third"), AT)).field == "checkout.state"


def test_a_checkout_survives_being_stored() -> None:
    checkout = at_recap("h")
    assert msgspec.json.decode(msgspec.json.encode(checkout), type=checkouts.Checkout) == checkout
