"""What the pages say of what followed an order: statements and dues in words, numbers that people write, instants."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from relance.rules.law.calendar import paris_date
from services.checkout.api.pages.afterwards import due_faces, last_days, statement_faces
from services.checkout.api.pages.ordered import Seen, lead_of, ways_of
from services.checkout.api.pages.tongues import load_tongues
from services.checkout.api.pages.tracking import day_of
from services.checkout.application.aftercaring import AfterView
from services.checkout.domain import dues, lateness, rights
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.attempts import Attempt
from services.checkout.domain.orders import Order
from services.checkout.domain.presenting import OrderView
from services.checkout.domain.recap import Button, Recap
from services.checkout.domain.records import Record
from services.checkout.domain.references import is_number, number_in, numbers_in
from services.checkout.domain.statements import RecordReturn
from tests.unit.checkout.documents.lumen import SHOP
from tests.unit.checkout.sold import BOOK, PLACED, at, cared, follow, line, ordered, parcel, setting, sold, stated

FR, EN = load_tongues()["fr"], load_tongues()["en"]


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def seen(order: Order, after: Aftercare, now: str) -> AfterView:
    recap = Recap(
        checkout_id=order.checkout_id, shop=SHOP.id, currency="EUR", lines=(), delivery=None, coupons=(), tenders=(),
        discount_minor=0, delivery_minor=0, vat_minor={}, total_minor=0, due_later_minor=0, terms_version="1",
        personalised_notice="", texts={}, button=Button(text="Commander", language="fr"),
        law_on=paris_date(order.placed_at),
    )  # fmt: skip
    view = OrderView(
        shop=SHOP, order=order, record=Record(id=order.checkout_id, shop=SHOP.id, lines=()), recap=recap, language="fr",
        email="ada@example.org", documents={}, alerts=(), means=(), at=at(now),
    )  # fmt: skip
    today = setting(now)
    return AfterView(
        view, after, today, rights.deadlines(order, after, BOOK), dues.standings(order, after, today),
        dues.forecasts(order, after, BOOK), lateness.late(order, after, today.on, BOOK), (),
    )  # fmt: skip


def withdrawn(now: str = "2026-03-12T10:00", **more: Any) -> tuple[Order, Aftercare]:
    """Two lamps, received on 5 March, one of them withdrawn from on 10 March."""
    order = ordered(line(quantity=2, net_minor=9980), parcels=(parcel("P1", {"1": 2}, "2026-03-05T10:00"),))
    moved, after, _ = follow(order, cared(sold()), stated("2026-03-10T09:00", {"1": 1}, **more), now)
    return moved, after


def test_the_way_to_claim_is_there_once_something_can_be_claimed() -> None:
    for kind, parcels, there in (
        ("digital", (), True),
        ("service", (), False),
        ("goods", (), False),
        ("goods", (parcel("P1", {"1": 1}, "2026-03-05T10:00"),), True),
    ):
        order, after = ordered(line(), parcels=parcels), cared(sold(kind=kind))
        view = seen(order, after, "2026-03-12T10:00").order_view
        for masked, url in ((False, "/o/1/claim" if there else ""), (True, "")):
            ways = ways_of(Seen(view, FR, "/o/1", "secret", masked), after)
            assert ways["claim"] == url, (kind, masked)


@pytest.mark.parametrize("slow", [True, False])
def test_an_order_whose_debit_is_awaited_says_that_it_takes_days(*, slow: bool) -> None:
    live = Attempt(
        id="a1", tender=0, means="debit", psp="bank", amount_minor=5480, created_at=PLACED, state="sent", slow=slow
    )
    order = ordered(line(), state="placed", confirmed_at=None, paid_at=None, attempts=(live,))
    view = seen(order, cared(sold()), "2026-03-02T12:00").order_view
    said = plain(lead_of(Seen(view, FR, "/o/1", "", masked=False)))
    assert ("dans quelques jours : vous n'avez rien à faire" in said) is slow
    assert ("The money comes in some days" in lead_of(Seen(view, EN, "/o/1", "", masked=False))) is slow


def test_a_due_that_waits_for_goods_says_so_and_names_no_day() -> None:
    (face,) = due_faces(seen(*withdrawn(), "2026-03-12T10:00"), FR)
    assert plain(face.headline).startswith("49,90 € vous sont remboursés dès que les articles sont revenus")
    assert (face.why, face.steps, face.late) == ("", (), False)


@pytest.mark.parametrize(
    ("now", "words", "late"),
    [
        ("2026-03-24T23:59:59", "49,90 € vous sont remboursés au plus tard le 24 mars 2026.", False),
        ("2026-03-25T00:00", "49,90 € devaient être remboursés au plus tard le 24 mars 2026 ; à ce jour", True),
    ],
)
def test_a_due_has_its_day_and_is_late_from_the_next_midnight(now: str, words: str, *, late: bool) -> None:
    order, after = withdrawn()
    (statement,) = after.statements
    back = RecordReturn(statement_id=statement.id, on=date(2026, 3, 14))
    order, after, _ = follow(order, after, back, "2026-03-14T12:00")
    (face,) = due_faces(seen(order, after, now), FR)
    assert plain(face.headline).startswith(words)
    assert face.late is late
    assert plain(face.why) == "14 jours à compter de votre déclaration du 10 mars 2026 (L221-24)"
    assert plain(face.steps[0]).startswith("à partir du 25 mars 2026 : intérêts au taux légal")
    assert plain(face.steps[1]) == "à partir du 4 avril 2026 : 5 %, soit 2,50 € de plus"
    (english,) = due_faces(seen(order, after, now), EN)
    assert english.steps[1] == "from 4 April 2026: 5 %, €2.50 more"


def test_the_day_of_goods_that_came_back_later_is_named() -> None:
    order, after = withdrawn()
    back = RecordReturn(statement_id=after.statements[0].id, on=date(2026, 3, 28))
    order, after, _ = follow(order, after, back, "2026-03-28T12:00")
    (face,) = due_faces(seen(order, after, "2026-03-28T13:00"), FR)
    assert plain(face.why).startswith("les articles sont revenus le 28 mars 2026")


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("2026-03-19T23:59:59", "rétractation prise en compte"),
        ("2026-03-20T00:00", "son dernier jour était le 19 mars"),
    ],
)
def test_a_statement_says_for_each_line_what_it_achieves(when: str, words: str) -> None:
    order = ordered(line(), parcels=(parcel("P1", {"1": 1}, "2026-03-05T10:00"),))
    order, after, _ = follow(order, cared(sold()), stated(when, channel="letter", received="2026-03-21T10:00"),
                             "2026-03-21T10:00")  # fmt: skip
    (face,) = statement_faces(seen(order, after, "2026-03-21T11:00"), FR)
    assert face.headline.endswith("par courrier")
    ((name, text, _),) = face.lines
    assert name == "Ligne 1"
    assert words in plain(text)


def test_until_when_rights_last_is_said_once_it_is_known() -> None:
    order = ordered(line())
    assert last_days(seen(order, cared(sold()), "2026-03-03T10:00"), FR) == ("", "")
    order = ordered(line(), parcels=(parcel("P1", {"1": 1}, "2026-03-05T10:00"),))
    told = tuple(plain(one) for one in last_days(seen(order, cared(sold()), "2026-03-06T10:00"), FR))
    assert told == ("Dernier jour : 19 mars 2026.", "Dernier jour : 5 mars 2028.")
    beside = ordered(line(), line("2"), parcels=(parcel("P1", {"1": 1}, "2026-03-05T10:00"),))
    mixed = cared(sold(), sold("2", "digital"))
    both = last_days(seen(beside, mixed, "2026-03-06T10:00"), FR)[0]
    assert plain(both) == "Dernier jour : 16 mars 2026, 19 mars 2026."
    waits = ordered(line(), line("2"))
    assert last_days(seen(waits, mixed, "2026-03-06T10:00"), FR)[0] == "", "the goods have not come"
    excepted = cared(sold(exception=3, exception_shown=True))
    assert last_days(seen(order, excepted, "2026-03-06T10:00"), FR)[0] == ""


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("3f2a91c0", True), ("Commande n° 3F2A91C0", True), ("order #3f2a91c0.", True),
        ("3f2a91c0-0001-4000-8000-000000000001", True), ("3f2a91c0, seulement la lampe", False),
        ("3f2a91c0 and 7be01d44", False), ("la lampe de mardi", False), ("", False), ("deadbeefs", False),
    ],
)  # fmt: skip
def test_a_number_that_stands_alone_is_told_from_one_with_words(text: str, *, only: bool) -> None:
    assert is_number(text) is only


def test_numbers_are_found_in_what_people_write() -> None:
    assert number_in("n°3F2A91C0 svp") == "3f2a91c0"
    assert number_in("rien") == ""
    assert numbers_in("3f2a91c0, 7BE01D44 et 3F2A91C0") == ("3f2a91c0", "7be01d44")


@pytest.mark.parametrize(
    ("typed", "day"),
    [("2026-12-24", date(2026, 12, 24)), ("24/12/2026", date(2026, 12, 24)), ("1.2.2027", date(2027, 2, 1)),
     ("24/13/2026", None), ("demain", None), ("", None), ("31/02/2027", None)],
)  # fmt: skip
def test_days_are_read_as_browsers_send_and_people_write_them(typed: str, day: date | None) -> None:
    assert day_of(typed) == day


@pytest.mark.parametrize(
    ("instant", "words"),
    [
        (datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC), "25 octobre 2026 à 02:59:59 (heure de Paris, UTC+02:00)"),
        (datetime(2026, 10, 25, 1, 0, 0, tzinfo=UTC), "25 octobre 2026 à 02:00:00 (heure de Paris, UTC+01:00)"),
        (datetime(2026, 11, 30, 23, 0, 0, tzinfo=UTC), "1er décembre 2026 à 00:00:00 (heure de Paris, UTC+01:00)"),
    ],
)
def test_a_stamp_is_one_instant_also_in_the_hour_that_comes_twice(instant: datetime, words: str) -> None:
    assert plain(FR.stamp(instant)) == words
