"""Opening an order's aftercare, and what an outcome does."""

from datetime import date

import pytest
from msgspec.structs import replace

from relance.kernel.errors import Defect
from relance.rules.law import goods
from services.checkout.domain.aftercare import new_due, put_in
from services.checkout.domain.articles import Article
from services.checkout.domain.delivery import Mode, Quote, offered
from services.checkout.domain.follow_up import Letter, Outcome, Setting, folded, follows, joined, once, opened
from services.checkout.domain.orders import Order, Ship, Withdraw
from services.checkout.domain.outcomes import Effect
from services.checkout.domain.records import CartLine, Record
from tests.unit.checkout.sold import BOOK, PLACED, at, cared, line, ordered, parcel, setting, sold
from tests.unit.checkout.story import after as step_all
from tests.unit.checkout.test_shipping import paid

HOME = Mode(id="home", kind="home", fee_minor=490, free_from_minor=6000, standard=True, working_days=2)
SHOP = Mode(id="shop", kind="collect", fee_minor=0, standard=True, working_days=1)
AWAY = Mode(id="away", kind="home", fee_minor=100, standard=True, working_days=2)


def record() -> Record:
    lamp = goods.Line(id="1", name="Lampe", unit_minor=4990, exception=5, exception_shown=True, return_cost_minor=900)
    book = goods.Line(id="2", name="Livre", kind="digital", unit_minor=999, delivery_on=date(2026, 3, 2))
    cover = goods.Line(id="3", name="Assurance", kind="service", unit_minor=500, service_days=365)
    quotes = (
        Quote(mode=HOME, fee_minor=0, expected_on=date(2026, 3, 5)),
        Quote(mode=SHOP, fee_minor=0, expected_on=date(2026, 3, 4)),
        Quote(mode=AWAY, fee_minor=100, expected_on=date(2026, 3, 4), refused="does not deliver to 20000"),
    )
    return Record(
        id="c", shop="lumen", lines=(CartLine("S1", 1), CartLine("B1", 1), CartLine("I1", 1)),
        law_lines=(lamp, book, cover), offered=offered(quotes), promised_on=date(2026, 3, 5),
        early_at=PLACED, loss_at=PLACED,
    )  # fmt: skip


def articles(ancillary_of: tuple[str, ...] = ()) -> dict[str, Article]:
    return {
        "S1": Article(sku="S1", product_id="p1", name="Lampe"),
        "B1": Article(sku="B1", product_id="p2", name="Livre", kind="digital"),
        "I1": Article(
            sku="I1", product_id="p3", name="Assurance", kind="service", extra=True, ancillary="insurance",
            ancillary_of=ancillary_of,
        ),
    }  # fmt: skip


def bought() -> Order:
    order = ordered(line("1"), line("2"), line("3"))
    return replace(order, lines=tuple(one if one.id == "1" else replace(one, sku="") for one in order.lines))


def test_lines_are_frozen_as_they_were_sold() -> None:
    made = opened(bought(), record(), articles(), PLACED)
    lamp, book, cover = made.sold
    assert (lamp.kind, lamp.exception, lamp.exception_shown, lamp.promised_on) == ("goods", 5, True, date(2026, 3, 5))
    assert (lamp.requested_at, lamp.return_cost_minor, lamp.ancillary_to) == (None, 900, ())
    assert (book.kind, book.requested_at, book.loss_at, book.promised_on) == (
        "digital", PLACED, PLACED, date(2026, 3, 2),
    )  # fmt: skip
    assert (cover.extra, cover.ancillary_to, cover.promised_on) == (True, ("1", "2"), None)
    assert (cover.service_days, lamp.used) == (365, False)
    assert opened(bought(), record(), articles(("B1",)), PLACED).sold[2].ancillary_to == ("2",)
    assert [(one.mode, one.fee_minor, one.full_fee_minor, one.standard) for one in made.offered] == [
        ("home", 0, 490, True), ("shop", 0, 0, False),
    ]  # fmt: skip


def test_an_order_of_before_has_lines_too() -> None:
    old = Record(id="c", shop="lumen", lines=(CartLine("S1", 1),))
    made = opened(ordered(line("1")), old, {}, PLACED)
    assert (made.sold[0].kind, made.sold[0].vat_percent, made.offered) == ("goods", "20", ())


def test_acts_are_folded_into_the_order_and_none_may_be_refused() -> None:
    act = Withdraw(stated_at=PLACED, medium="web", units={"1": 1})
    shipped = ordered(line(quantity=2, net_minor=9980), parcels=(parcel("a", {"1": 2}),))
    assert folded(shipped, Outcome(cared(), acts=(act,)), PLACED).lines[0].withdrawn == 1
    with pytest.raises(Defect, match="units"):
        folded(shipped, Outcome(cared(), acts=(act, act, act)), PLACED)


def test_what_moves_money_units_parcels_or_the_end_is_looked_after() -> None:
    order = paid()
    left = step_all(order, Ship(parcel_id="p1", units={"1": 1})).state
    assert follows(order, left)
    assert not follows(order, order)
    assert follows(ordered(line(), paid_at=None), ordered(line()))
    assert follows(ordered(line()), ordered(line(), state="cancelled"))
    assert not follows(ordered(line(), state="cancelled"), ordered(line(), state="cancelled"))


def test_what_was_told_is_told_once() -> None:
    told = once(cared(), "late/2026-03-05")
    assert told is not None
    assert told.told == ("late/2026-03-05",)
    assert once(told, "late/2026-03-05") is None


def test_two_outcomes_are_one() -> None:
    first = Outcome(cared(), letters=(Letter("delivery.late"),), effects=(Effect("look_after"),))
    second = Outcome(cared(informed=False), letters=(Letter("refund.sent", {"amount": "4,90 EUR"}),))
    both = joined(first, second)
    assert (both.after.informed, [one.kind for one in both.letters]) == (False, ["delivery.late", "refund.sent"])
    assert both.effects == first.effects


def test_dues_have_ids_by_their_place_and_take_the_place_of_their_own() -> None:
    first = new_due(cared(), "withdrawal", "statement/s1", amount_minor=1, product_minor=1, notice_on=date(2026, 3, 5))
    after = cared(dues=(first,))
    second = new_due(after, "delivery", "resolution/r", amount_minor=2, product_minor=2, notice_on=date(2026, 3, 5))
    assert first.id != second.id
    assert put_in(after.dues, second) == (first, second)
    changed = replace(first, amount_minor=3)
    assert put_in((first, second), changed) == (changed, second)
    assert (after.due(first.id), after.due("x"), after.line("1"), after.line("9"), after.statement("s")) == (
        first, None, sold(), None, None,
    )  # fmt: skip


def test_a_setting_knows_its_day_and_its_law() -> None:
    made: Setting = setting("2026-03-02T00:30")
    assert (made.on, made.law, made.law_of(date(2025, 1, 1))) == (
        date(2026, 3, 2), (BOOK, date(2026, 3, 2)), (BOOK, date(2025, 1, 1)),
    )  # fmt: skip
    assert setting(at("2026-03-02T23:59")).on == date(2026, 3, 2)
