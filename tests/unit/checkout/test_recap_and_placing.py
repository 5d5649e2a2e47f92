from datetime import date

import msgspec
import pytest

from services.checkout.domain.cart import Basket, cost
from services.checkout.domain.checkouts import Press, order_id
from services.checkout.domain.coupons import Coupon, Uses
from services.checkout.domain.orders import OrderTerms
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.placing import Again, Placed, Shelf, buyer, order_now
from services.checkout.domain.recap import (
    Button,
    Chosen,
    Recap,
    canonical,
    check_buttons,
    check_words,
    compose,
    differences,
    digest,
)  # fmt: skip
from services.checkout.domain.stock import Level
from services.checkout.domain.tenders import Purse, Tender
from tests.unit.checkout.story import AT, BOUND, HOUR, LAMP, LAW, RECAP, at_recap, refused, said
from tests.unit.checkout.test_cart_and_coupons import OWN

replace = msgspec.structs.replace
HASH = digest(RECAP)
SHELF = Shelf(levels={"L-1": Level(sku="L-1", on_hand=2)})
PRESS = Press(recap_hash=HASH, terms_accepted=True)
CHANGES = [
    {"lines": (replace(RECAP.lines[0], quantity=1),)},
    {"lines": (replace(RECAP.lines[0], unit_minor=4989),)},
    {"delivery": Chosen(mode="home", address_hash="a2", expected_on=date(2026, 11, 26))},
    {"delivery": Chosen(mode="home", address_hash="a1", expected_on=date(2026, 11, 27))},
    {"coupons": ("TEN",)},
    {"tenders": (replace(RECAP.tenders[0], means="wallet"),)},
    {"total_minor": 10469},
    {"terms_version": "2026-12"},
    {"texts": {"withdrawal": "0" * 64}},
    {"button": Button(text="Acheter maintenant", language="fr")},
]


def click(present: Recap = RECAP, shelf: Shelf = SHELF, *granted: Coupon) -> Placed | Again | Refusal:
    shown = digest(present)
    press = Press(recap_hash=shown, terms_accepted=True)
    return order_now(at_recap(shown), press, present, granted, shelf, terms=OrderTerms(), law=LAW, at=AT)


def ordered(found: Placed | Again | Refusal) -> Placed:
    assert isinstance(found, Placed), found
    return found


def test_the_recap_is_the_cart_that_was_priced() -> None:
    assert (RECAP.total_minor, RECAP.delivery_minor, RECAP.lines[0].net_minor) == (10470, 490, 9980)
    assert canonical(RECAP) == canonical(msgspec.json.decode(canonical(RECAP), type=Recap))
    keys = list(msgspec.json.decode(canonical(RECAP)))
    assert keys == sorted(keys)


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_another_hash(change: dict[str, object]) -> None:
    present = replace(RECAP, **change)
    assert digest(present) != HASH
    assert [found.field.split(".")[0] for found in differences(RECAP, present)] == [*change] * len(
        differences(RECAP, present)
    )


def test_a_line_that_left_is_marked() -> None:
    found = differences(RECAP, replace(RECAP, lines=()))
    assert ("lines.1.name", "Lampe", None) in found
    assert differences(RECAP, RECAP) == ()


@pytest.mark.parametrize(
    ("text", "allowed"), [("Commander avec obligation de paiement", True), ("Valider", False), ("Youpi", False)]
)
def test_the_button_says_that_an_order_obliges_to_pay(text: str, *, allowed: bool) -> None:
    found = check_words(replace(RECAP, button=Button(text=text, language="fr")), LAW)
    assert (found is None) == allowed
    if found is not None:
        assert (found.rule, found.article) == ("A04", "L221-14 al. 2")


def test_the_click_makes_one_order_of_what_was_shown() -> None:
    found = ordered(click())
    assert said(found.order) == ["order.placed"]
    assert (found.order.state.total_minor, found.order.state.recap_hash) == (10470, HASH)
    assert found.levels[0].holds[str(found.order.state.id)].quantity == 2
    again = order_now(found.checkout.state, PRESS, RECAP, (), SHELF, terms=OrderTerms(), law=LAW, at=AT + HOUR)
    assert again == Again(found.order.state.id) == Again(order_id(found.checkout.state.id, HASH))


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_since_the_recap_orders_nothing(change: dict[str, object]) -> None:
    present = replace(RECAP, **change)
    found = order_now(at_recap(HASH), PRESS, present, (), SHELF, terms=OrderTerms(), law=LAW, at=AT)
    assert refused(found).field == "recap.hash"


def test_a_sold_out_line_or_unlawful_button_orders_nothing() -> None:
    assert refused(click(RECAP, Shelf(levels={"L-1": Level(sku="L-1", on_hand=1)}))).rule == "C08"
    assert refused(click(replace(RECAP, button=Button(text="Valider", language="fr")))).rule == "A04"


def test_a_coupon_and_a_purse_are_reserved_with_the_order() -> None:
    gift = Tender(means="gift", kind="gift_card", amount_minor=10470, ref="g1", state="held")
    present = compose((LAMP,), cost(Basket(lines=(LAMP,)), 490), replace(BOUND, tenders=(gift,), coupons=("OWN",)))
    purse = Purse(ref="g1", means="gift", balance_minor=10470)
    shelf = replace(SHELF, purses={"g1": purse}, uses={"OWN": Uses(code="OWN")})
    found = ordered(click(present, shelf, OWN))
    assert said(found.order) == ["order.placed", "order.completed", "order.paid"]
    assert [one.balance_minor for one in found.purses] == [0]
    assert (found.uses[0].uses.taken, found.uses[0].own.orders) == (1, (str(found.order.state.id),))
    assert found.uses[0].own.id == f"OWN/{buyer(found.checkout.state)}"
    taken = replace(shelf, uses={"OWN": Uses(code="OWN", taken=1)})
    assert refused(click(present, taken, OWN)).field == "coupon.code"
    assert refused(click(present, replace(shelf, purses={}))).field == "payment.purses.0"
    assert refused(click(present, replace(shelf, purses={"g1": replace(purse, balance_minor=1)}))).reason


def test_a_gift_is_in_the_order_and_digital_content_has_no_stock() -> None:
    song = replace(LAMP, id="2", sku="S-1", kind="digital", quantity=1, unit_minor=100)
    lines = (LAMP, song)
    shown = replace(BOUND, tenders=(replace(BOUND.tenders[0], amount_minor=10570),))
    found = ordered(click(compose(lines, cost(Basket(lines=lines), 490), shown)))
    assert [line.id for line in found.order.state.lines] == ["1", "2"]
    assert [level.sku for level in found.levels] == ["L-1"]


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"fr": "Commander avec obligation de paiement"}, ""),
        ({"fr": "Commander avec obligation de paiement", "en": "Order with obligation to pay"}, ""),
        ({"fr": "Commander"}, "button.fr"),
        ({"fr": "Commander avec obligation de paiement", "en": "Let us go"}, "button.en"),
    ],
)
def test_words_of_a_shops_button_are_read_before_any_shopper_reads_them(words: dict[str, str], field: str) -> None:
    found = check_buttons(words, LAW)
    assert (found.field if found is not None else "") == field
    assert found is None or (found.rule, bool(found.article)) == ("A04", True)
