"""What checkout says of a delivery is what the consumer reads, in both languages, and nothing that does not hold."""

from uuid import UUID

import msgspec
import pytest

from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.follow_up import Letter, folded
from services.checkout.domain.orders import Order
from services.checkout.domain.promises import (
    DeliveryAct,
    NotifyLate,
    ReportIncident,
    ReportUnavailable,
    ResolveLate,
    look,
    step,
)  # fmt: skip
from services.checkout.domain.tenders import Tender
from services.notification.adapters.mail.rendering import LANGUAGES, Templates
from services.notification.domain.linting import lint_structure, lint_wording
from services.notification.domain.senders import read_senders
from tests.integration.notification.mail_kit import make_request, sender_document
from tests.unit.checkout.sold import at, cared, done, line, ordered, parcel, setting, sold
from tests.unit.checkout.test_promises import PROMISED, lamp

SENDER = read_senders(sender_document())["demo"]
TEMPLATES = Templates()
LINK = "https://demo.example/p/token"
AWAITED = Tender(means="transfer", kind="offline", amount_minor=7480, state="awaited")


def read(letter: Letter, language: str = "fr") -> str:
    facts = {"order_number": "0f0ff1cc"} | dict(letter.facts)
    request = make_request(letter.kind)
    request = msgspec.structs.replace(request, locale=language, facts=facts | {"link": LINK}, order_id=UUID(int=1))
    made = TEMPLATES.render(request, SENDER)
    assert lint_wording(made.text) == []
    assert lint_structure(made.html, SENDER.link_hosts) == []
    assert "None" not in made.text
    assert LINK in made.text
    return f"{made.subject}\n{made.text}".replace("\u00a0", " ").replace("\u202f", " ")


def answered(order: Order, after: Aftercare, act: DeliveryAct, now: str) -> Letter:
    (letter,) = done(step(order, after, act, setting(now))).letters
    assert letter.kind == "delivery.answered"
    return letter


def noticed(order: Order, when: str = "2026-03-11T09:00", until: str = "2026-04-01") -> Aftercare:
    act = NotifyLate(at=at(when), until=at(f"{until}T00:00").date(), medium="email")
    return done(step(order, lamp(), act, setting(when))).after


def test_nobody_is_said_to_have_written_who_refused_a_parcel_and_he_reads_how_to_withdraw() -> None:
    order = ordered(line(), parcels=(parcel("p", {"1": 1}),))
    letter = answered(order, lamp(), ReportIncident(parcel_id="p", kind="refused"), "2026-03-12T10:00")
    french, english = read(letter), read(letter, "en")
    assert "vous nous avez écrit" not in french
    assert "you wrote" not in english
    assert ("vous rétracter dès maintenant" in french, "withdraw right now" in english) == (True, True)
    assert "L. 216-6" not in french


def test_a_refused_parcel_names_the_last_day_once_the_time_runs_and_no_right_where_there_is_none() -> None:
    service = line("2", net_minor=900)
    order = ordered(service, parcels=(parcel("p", {"2": 1}),))
    act = ReportIncident(parcel_id="p", kind="refused")
    runs = answered(order, cared(sold("2", kind="digital")), act, "2026-03-12T10:00")
    assert "jusqu'au 16 mars 2026 inclus" in read(runs)
    over = answered(order, cared(sold("2", kind="digital")), act, "2026-03-17T00:00")
    assert "rétracter" not in read(over)
    made = cared(sold("2", exception=3, exception_shown=True))
    assert "withdraw " not in read(answered(order, made, act, "2026-03-12T10:00"), "en").replace("withdraw from", "")


def test_a_notice_says_until_when_and_an_early_one_that_nothing_is_late_yet() -> None:
    order = ordered(line())
    until = at("2026-04-01T00:00").date()
    late = answered(
        order, lamp(), NotifyLate(at=at("2026-03-11T00:00"), until=until, medium="email"), "2026-03-11T00:00"
    )
    assert "jusqu'au 1er avril 2026 inclus" in read(late)
    early = answered(
        order, lamp(), NotifyLate(at=at("2026-03-10T23:59"), until=until, medium="email"), "2026-03-10T23:59"
    )
    assert "au plus tard le 10 mars 2026" in read(early)
    assert "1er avril" not in read(early)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_ended_contract_says_for_what_and_until_when_the_money_is_back(language: str) -> None:
    order = ordered(line())
    act = ResolveLate(received_at=at("2026-04-02T00:00"), medium="email")
    letter = answered(order, noticed(order), act, "2026-04-02T00:00")
    assert (letter.facts["case"], letter.facts["refund_until"]) == ("resolved", "2026-04-16")
    said = read(letter, language)
    assert ("Ligne 1" in said, "16 avril 2026" in said or "16 April 2026" in said) == (True, True)


@pytest.mark.parametrize(
    ("case", "received", "said"),
    [
        ("not_late", "2026-03-10T23:59", "10 mars 2026"),
        ("extra_time", "2026-04-01T23:59", "jusqu'au 1er avril 2026 inclus"),
    ],
)
def test_a_writing_on_the_page_that_comes_too_early_says_why_and_what_to_do(
    case: str, received: str, said: str
) -> None:
    order = ordered(line())
    after = lamp() if case == "not_late" else noticed(order)
    letter = answered(order, after, ResolveLate(received_at=at(received), medium="web"), received)
    assert letter.facts["case"] == case
    assert said in read(letter)
    assert "pris fin" in read(letter)


def test_every_reason_of_the_law_has_its_words() -> None:
    order, web = ordered(line()), "web"
    no_notice = answered(order, lamp(), ResolveLate(received_at=at("2026-03-11T00:00"), medium=web), "2026-03-11T00:00")
    early = noticed(order, "2026-03-09T09:00", "2026-03-12")
    early_notice = answered(
        order, early, ResolveLate(received_at=at("2026-03-20T10:00"), medium=web), "2026-03-20T10:00"
    )
    came = ordered(line(), parcels=(parcel("p", {"1": 1}, "2026-03-12T09:00"),))
    before = answered(
        came, noticed(order), ResolveLate(received_at=at("2026-03-13T10:00"), medium=web), "2026-03-13T10:00"
    )
    timely = ordered(line(), parcels=(parcel("p", {"1": 1}, "2026-03-10T09:00"),))
    in_time = answered(timely, lamp(), ResolveLate(received_at=at("2026-03-13T10:00"), medium=web), "2026-03-13T10:00")
    letters = (no_notice, early_notice, before, in_time)
    assert [one.facts["case"] for one in letters] == ["no_notice", "early_notice", "came_before", "in_time"]
    assert len({read(one) for one in letters}) == len(letters)
    assert len({read(one, "en") for one in letters}) == len(letters)


def test_a_parcel_that_came_says_until_when_for_the_articles_that_carry_the_right() -> None:
    there = ordered(line(), parcels=(parcel("p", {"1": 1}, "2026-03-05T09:00"),), state="delivered")
    (letter,) = [
        one for one in look(there, lamp(), setting("2026-03-05T10:00")).letters if one.kind == "order.delivered"
    ]
    assert "jusqu'au 19 mars 2026 inclus." in read(letter)
    assert "up to and including 19 March 2026." in read(letter, "en")
    made = cared(sold(exception=3, exception_shown=True, promised_on=PROMISED))
    (bare,) = [one for one in look(there, made, setting("2026-03-05T10:00")).letters if one.kind == "order.delivered"]
    assert "rétracter" not in read(bare)


def test_articles_of_one_parcel_have_each_their_own_last_day() -> None:
    order = ordered(
        line("1"), line("2", net_minor=900), line("3", net_minor=500), line("4", net_minor=700),
        parcels=(parcel("p", {"1": 1, "2": 1, "3": 1}, "2026-03-05T09:00"),),
    )  # fmt: skip
    sold_as = (sold("1"), sold("2", regular=True), sold("3", exception=3, exception_shown=True))
    waiting = cared(*sold_as, sold("4"))
    (letter,) = [
        one for one in look(order, waiting, setting("2026-03-05T10:00")).letters if one.kind == "order.delivered"
    ]
    said = read(letter)
    assert "jusqu'au 19 mars 2026 inclus pour : Ligne 2." in said
    assert "Pour : Ligne 1, le délai de rétractation ne commencera qu'à la réception du dernier article" in said
    assert "Ligne 3" not in said
    both = ordered(
        line("1"), line("2", net_minor=900),
        parcels=(parcel("q", {"2": 1}, "2026-03-04T09:00"), parcel("p", {"1": 1, "2": 1}, "2026-03-05T09:00")),
    )  # fmt: skip
    told = look(both, cared(*sold_as[:2]), setting("2026-03-05T10:00")).letters
    (second,) = [one for one in told if one.facts.get("later_until")]
    assert "jusqu'au 18 mars 2026 inclus pour : Ligne 2." in read(second)
    assert "jusqu'au 19 mars 2026 inclus pour : Ligne 1." in read(second)


def test_the_letters_leave_the_order_as_it_was() -> None:
    order = ordered(line(), parcels=(parcel("p", {"1": 1}),))
    found = done(step(order, lamp(), ReportIncident(parcel_id="p", kind="refused"), setting("2026-03-12T10:00")))
    assert folded(order, found, at("2026-03-12T10:00")).lines[0].withdrawn == 0


def test_what_is_unavailable_is_paid_back_by_a_day_and_costs_nothing_where_nobody_paid() -> None:
    order = ordered(line("1"), line("2", net_minor=2000))
    after = cared(sold("1", promised_on=PROMISED), sold("2", promised_on=PROMISED))
    (letter,) = done(step(order, after, ReportUnavailable(units={"2": 1}), setting("2026-03-05T10:00"))).letters
    assert "au plus tard le 19 mars 2026 (article" in read(letter)
    assert "Ligne 2" in read(letter)
    unpaid = ordered(line("1"), line("2", net_minor=2000), paid_at=None, tenders=(AWAITED,))
    both = ReportUnavailable(units={"1": 1, "2": 1})
    (letter,) = done(step(unpaid, after, both, setting("2026-03-05T10:00"))).letters
    assert "rien à payer" in read(letter)
    assert "nothing to pay" in read(letter, "en")


def test_a_late_delivery_names_what_is_missing() -> None:
    order = ordered(line("1"), line("2", net_minor=900), parcels=(parcel("p", {"1": 1}, "2026-03-09T09:00"),))
    after = cared(sold("1", promised_on=PROMISED), sold("2", promised_on=PROMISED))
    (letter,) = [one for one in look(order, after, setting("2026-03-11T00:00")).letters if one.kind == "delivery.late"]
    assert "Il manque encore : Ligne 2." in read(letter)
    assert "Still missing: Ligne 2." in read(letter, "en")
