from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from relance.rules.law.prices import Prior
from services.checkout.domain.delivery import Destination, Mode, cheapest, choose, least_fee_minor, quotes
from services.checkout.domain.offers import Charged, History, Price, announce, charged, personalised_notice, put
from services.checkout.domain.outcomes import Refusal
from tests.unit.checkout.story import AT, HOUR, LAMP, LAW, refused
from tests.unit.checkout.test_cart_and_coupons import BOOK

replace = msgspec.structs.replace
START = AT - timedelta(days=60)
USUAL = Price(id="o1", since=START, price_minor=5000)
DEAL = Price(id="o2", since=AT, price_minor=4000, campaign="black-friday")
OWN = Price(id="o3", since=AT, price_minor=3900, scope="individual", person="ada", until=AT + HOUR, automated=True)

HOME = Mode(id="home", kind="home", fee_minor=490, free_from_minor=6000, standard=True, working_days=3)
EXPRESS = Mode(id="express", kind="express", fee_minor=990, working_days=1, not_to=("20", "97"))
COLLECT = Mode(id="collect", kind="collect", fee_minor=0, working_days=1, standard=True, weight_max_g=10_000)


def history(*prices: Price) -> History:
    found = History(sku="L-1")
    for price in prices:
        grown = put(found, price, min(price.since, AT))
        assert isinstance(grown, History), grown
        found = grown
    return found


def prior(found: Prior | Refusal) -> Prior:
    assert isinstance(found, Prior), found
    return found


def test_a_history_only_grows() -> None:
    known = history(USUAL, DEAL)
    assert put(known, DEAL, AT) is known
    assert refused(put(known, replace(DEAL, price_minor=3000), AT)).field == "offer.id"
    early = Price(id="o9", since=AT - HOUR, price_minor=9000)
    assert refused(put(known, early, AT)).rule == "D01"
    planned = history(USUAL, replace(DEAL, since=AT + HOUR))
    assert refused(put(planned, replace(USUAL, id="o9", since=AT), AT)).field == "offer.since"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price_minor": -1}, "offer.price_minor"),
        ({"person": "ada"}, "offer.person"),
        ({"scope": "individual"}, "offer.person"),
        ({"until": AT + HOUR}, "offer.until"),
        ({"scope": "individual", "person": "ada", "until": START}, "offer.until"),
    ],
)
def test_a_price_is_well_formed(change: dict[str, object], field: str) -> None:
    assert refused(put(History(sku="L-1"), replace(USUAL, **change), START)).field == field


def test_each_person_is_charged_his_price() -> None:
    known = history(USUAL, DEAL, OWN)
    assert charged(known, "", START - HOUR) is None
    assert charged(known, "eve", AT) == Charged(4000, "o2", individual=False, automated=False)
    assert charged(known, "ada", AT) == Charged(3900, "o3", individual=True, automated=True)
    assert charged(known, "ada", AT + HOUR) == Charged(4000, "o2", individual=False, automated=False)
    assert charged(known, "ada", AT - HOUR) == Charged(5000, "o1", individual=False, automated=False)


def test_a_reduction_is_announced_from_the_lowest_price_before() -> None:
    dip = Price(id="o4", since=AT - timedelta(days=20), price_minor=4500)
    back = Price(id="o5", since=AT - timedelta(days=10), price_minor=5000)
    found = prior(announce(history(USUAL, dip, back, DEAL), AT, None, LAW))
    assert (found.prior_minor, found.percent) == (4500, Decimal("11.11"))
    assert refused(announce(history(USUAL, dip, back, DEAL), AT, Decimal(20), LAW)).rule == "D02"
    assert prior(announce(history(USUAL, DEAL), AT, Decimal(20), LAW)).prior_minor == 5000


def test_a_campaign_goes_on_from_its_first_step() -> None:
    second = replace(DEAL, id="o6", since=AT + HOUR, price_minor=3000)
    found = prior(announce(history(USUAL, DEAL, second), AT + HOUR, Decimal(40), LAW))
    assert (found.prior_minor, found.in_campaign) == (5000, True)
    assert refused(announce(history(USUAL, DEAL, second), AT + HOUR, Decimal(41), LAW)).rule == "D03"


def test_without_history_nothing_is_announced() -> None:
    assert refused(announce(history(DEAL), AT, None, LAW)).field == "reduction.history"
    assert refused(announce(history(DEAL), AT - HOUR, None, LAW)).field == "offer"


def test_an_individual_price_is_no_prior_price() -> None:
    personal = replace(OWN, id="o7", since=START, until=AT)
    assert prior(announce(history(USUAL, personal, DEAL), AT, None, LAW)).prior_minor == 5000


def test_a_personalised_price_is_said() -> None:
    book, day = LAW
    assert personalised_notice(book, day, [Charged(1, "o", individual=True, automated=False)]) == ""
    assert personalised_notice(book, day, [Charged(1, "o", individual=True, automated=True)])


def offered(*, postcode: str = "75011", at: datetime = AT, weight_g: int = 0) -> dict[str, tuple[int, date, str]]:
    found = quotes((HOME, EXPRESS, COLLECT), (LAMP,), Destination(postcode=postcode), at, LAW, weight_g)
    return {one.mode.id: (one.fee_minor, one.expected_on, one.refused) for one in found}


def test_each_mode_has_its_fee_and_its_date() -> None:
    # Monday 23/11/2026, 11:00 in Paris: it leaves today; home arrives on Thursday, express on Tuesday.
    assert offered() == {
        "home": (0, date(2026, 11, 26), ""),
        "express": (990, date(2026, 11, 24), ""),
        "collect": (0, date(2026, 11, 24), ""),
    }


def test_after_the_cut_off_it_leaves_on_the_next_working_day() -> None:
    noon = datetime(2026, 11, 23, 11, tzinfo=UTC)
    assert offered(at=noon - timedelta(microseconds=1))["express"][1] == date(2026, 11, 24)
    assert offered(at=noon)["express"][1] == date(2026, 11, 25)
    friday = datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert offered(at=friday)["express"][1] == date(2026, 12, 1)
    christmas = datetime(2026, 12, 24, 8, tzinfo=UTC)
    assert offered(at=christmas)["express"][1] == date(2026, 12, 28)


def test_restrictions_are_said() -> None:
    assert offered(postcode="20000")["express"][2] == "does not deliver to 20000"
    assert offered(weight_g=10_001)["collect"][2] == "takes at most 10000 g"
    found = quotes((EXPRESS,), (LAMP,), Destination(country="BE"), AT, LAW)
    assert refused(choose(found, "express")).rule == "A06"
    assert refused(choose(found, "pigeon")).rule == "A06"
    assert cheapest(found) is None


def test_the_cheapest_is_known_with_its_date() -> None:
    found = quotes((EXPRESS, replace(HOME, free_from_minor=None)), (LAMP,), Destination(), AT, LAW)
    best = cheapest(found)
    assert best is not None
    assert (best.mode.id, best.fee_minor, best.expected_on) == ("home", 490, date(2026, 11, 26))
    assert choose(found, "home") == best


def test_pick_up_caps_no_refund() -> None:
    assert [mode.caps_refunds for mode in (HOME, EXPRESS, COLLECT)] == [True, False, False]


def test_new_books_are_not_delivered_for_nothing() -> None:
    assert least_fee_minor((LAMP,), LAW) == 0
    assert least_fee_minor((BOOK,), LAW) == 300
    assert least_fee_minor((replace(BOOK, unit_minor=3500),), LAW) == 1
    free = replace(HOME, free_from_minor=0, fee_minor=0)
    fees = [one.fee_minor for one in quotes((free, COLLECT), (LAMP, BOOK), Destination(), AT, LAW)]
    assert fees == [300, 0]
