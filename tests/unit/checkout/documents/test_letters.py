"""Letters about a withdrawal: content, date and time in Paris, articles; the same in both parts, in both languages."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.checkout.adapters.documents.letters import render
from services.checkout.adapters.documents.words import words
from services.checkout.domain import letters
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.letters import Acknowledgement, LetterFacts, Said
from services.checkout.domain.orders import Order
from services.checkout.domain.shops import AftercareTerms
from services.checkout.domain.statements import AcceptAnyway, Inform, ProveUnsealed, RecordReturn
from services.notification.domain.linting import lint_structure, lint_wording
from tests.unit.checkout.documents.lumen import SHOP, replace
from tests.unit.checkout.documents.paper import squeezed
from tests.unit.checkout.sold import BOOK, cared, follow, line, ordered, parcel, sold, stated

NOBODY = Said()
WORDS = Said(
    "Camille <b>Durand</b>", "Je me rétracte.\nhttps://ailleurs.example/x", "commande de mars", "c@elsewhere.example"
)


def acknowledged(order: Order, after: Aftercare, said: Said = NOBODY, **more: Any) -> LetterFacts:
    about = letters.acknowledgement(order, after, after.statements[0], said)
    given: dict[str, Any] = {"shop": SHOP, "language": "fr", "about": about}
    return LetterFacts(**(given | more))


def decided(order: Order, after: Aftercare, **more: Any) -> LetterFacts:
    shop = more.pop("shop", SHOP)
    about = letters.decided(order, after, after.statements[-1], shop, BOOK)
    given: dict[str, Any] = {"shop": shop, "language": "fr", "about": about}
    return LetterFacts(**(given | more))


def received(*lines: Any, when: str = "2026-03-05 10:00", **more: Any) -> Order:
    return ordered(*lines, parcels=(parcel("p1", {one.id: one.quantity for one in lines}, when),), **more)


def one_lamp(now: str = "2026-03-10 23:59:59") -> tuple[Order, Aftercare]:
    order, after, _ = follow(received(line(), line("2", 2)), cared(sold(), sold("2")), stated(now, {"2": 1}), now)
    return order, after


def plain(facts: LetterFacts) -> str:
    return squeezed(render(facts).text)


def says(facts: LetterFacts, *said: str) -> None:
    body = render(facts)
    assert lint_structure(body.html, None) == []
    assert lint_wording(body.text) == []
    for one in said:
        assert squeezed(one) in squeezed(body.text), one


def test_an_acknowledgement_has_content_date_and_time_in_paris_and_the_articles() -> None:
    facts = acknowledged(*one_lamp(), Said("Camille Durand", "Je garde la première.", "", "camille@example.org"))
    says(
        facts, "10 mars 2026 à 23:59:59", "heure de Paris, UTC+1", "1 x Ligne 2", "une partie du contrat",
        "Camille Durand", "Je garde la première.", "camille@example.org", "0f0ff1cc", "s1", "article L. 221-21",
        "Lumen SAS", "12 rue des Lampes", "passée le 2 mars 2026", "Aucun motif",
    )  # fmt: skip
    assert "Ligne 1" not in plain(facts)
    assert render(facts).subject == "Accusé de réception de votre rétractation, commande 0f0ff1cc, Lumen"


def test_it_decides_nothing_and_says_the_same_of_a_statement_that_comes_too_late() -> None:
    late, in_time = (render(acknowledged(*one_lamp(now))).text for now in ("2027-05-12 10:00", "2026-05-12 10:00"))
    assert late.replace("2027", "2026") == in_time


def test_in_english_it_says_the_same() -> None:
    facts = acknowledged(*one_lamp(), Said("Camille Durand"), language="en")
    says(facts, "10 March 2026 at 23:59:59", "Paris time, UTC+1", "1 x Ligne 2", "a part of the contract")
    assert 'lang="en"' in render(facts).html


def test_the_two_hours_of_the_autumn_night_are_told_apart() -> None:
    texts = []
    for hour in (0, 1):
        about = Acknowledgement(
            number="n", channel="web", stated_at=datetime(2026, 10, 25, hour, 30, tzinfo=UTC), received_at=None,
            said=NOBODY,
        )  # fmt: skip
        texts.append(plain(LetterFacts(shop=SHOP, language="fr", about=about)))
    assert all("02:30:00" in text for text in texts)
    assert ("UTC+2" in texts[0], "UTC+1" in texts[1]) == (True, True)


def test_what_a_person_wrote_is_text_and_no_link_is_made_of_it() -> None:
    body = render(acknowledged(*one_lamp(), WORDS))
    assert "<b>Durand" not in body.html
    assert 'href="https://ailleurs' not in body.html
    assert "https://ailleurs.example/x" in body.text


def test_a_statement_that_names_no_order_is_acknowledged_with_all_that_it_says() -> None:
    about = Acknowledgement(
        number="1234abcd", channel="web", stated_at=datetime(2026, 7, 1, 8, tzinfo=UTC), received_at=None, said=WORDS
    )
    facts = LetterFacts(shop=SHOP, language="fr", about=about)
    says(
        facts,
        "1er juillet 2026 à 10:00:00",
        "commande de mars",
        "Camille <b>Durand</b>",
        "c@elsewhere.example",
        "1234abcd",
    )
    assert "Commande n°" not in render(facts).text
    assert render(facts).subject == "Accusé de réception de votre rétractation, Lumen"


def test_a_statement_by_letter_says_when_it_was_posted_and_when_it_came() -> None:
    act = stated("2026-03-10 10:00", received="2026-03-12 09:00", channel="letter")
    order, after, _ = follow(received(line()), cared(), act, "2026-03-12 09:00")
    says(
        acknowledged(order, after),
        "Postée le",
        "10 mars 2026",
        "Reçue par nous le",
        "12 mars 2026",
        "le contrat entier",
    )


def test_a_decision_gives_the_last_day_the_sum_its_date_and_where_the_goods_go() -> None:
    says(
        decided(*one_lamp()), "rétractation acceptée", "jusqu'au 19 mars 2026 inclus", "article L. 221-18",
        "Au plus tard le 24 mars 2026, ou", "article L. 221-24", "au plus tard le 24 mars 2026 (article L. 221-23",
        "Lumen SAS, 12 rue des Lampes", "à votre charge", "24,95 €",
    )  # fmt: skip


def test_once_the_goods_are_back_the_date_is_certain_and_nothing_is_to_be_sent() -> None:
    order, after = one_lamp()
    order, after, _ = follow(order, after, RecordReturn(statement_id="s1", on=date(2026, 3, 20)), "2026-03-20 12:00")
    facts = decided(order, after)
    says(facts, "Au plus tard le 24 mars 2026 (article L. 221-24")
    assert squeezed("Renvoi des articles") not in plain(facts)


def test_a_shop_that_collects_or_pays_the_return_says_so() -> None:
    collects = replace(SHOP, aftercare=AftercareTerms(collects_returns=True))
    order, after, _ = follow(
        received(line()), cared(), stated("2026-03-10 10:00"), "2026-03-10 10:00", collects_returns=True
    )
    says(decided(order, after, shop=collects), "Nous venons récupérer les articles", "24 mars 2026")
    pays = replace(
        SHOP, legal=replace(SHOP.legal, return_cost_borne_by="trader"),
        aftercare=AftercareTerms(return_address="Entrepôt, 1 rue du Dépôt, 93000 Bobigny"),
    )  # fmt: skip
    says(decided(*one_lamp(), shop=pays), "à notre charge", "Entrepôt, 1 rue du Dépôt")


def test_a_contract_says_who_pays_the_return_whatever_the_shop_says_since() -> None:
    order, after = one_lamp()
    free = replace(SHOP, legal=replace(SHOP.legal, return_cost_borne_by="trader"))
    says(decided(order, replace(after, return_cost_borne_by="trader")), "à notre charge")
    says(decided(order, replace(after, return_cost_borne_by="consumer"), shop=free), "à votre charge")
    says(decided(order, after, shop=free), "à notre charge")


def test_what_is_late_or_excepted_says_why_and_whom_to_turn_to() -> None:
    lines = cared(sold(), sold("2", exception=3, exception_shown=True))
    order, after, _ = follow(received(line(), line("2")), lines, stated("2026-03-20 00:00"), "2026-03-20 00:00")
    facts = decided(order, after)
    says(
        facts, "hors délai", "a pris fin le 19 mars 2026 à minuit", "pas de droit de rétractation",
        "article L. 221-28 3°", "confectionnés selon les spécifications du consommateur", "Médiation du commerce",
    )  # fmt: skip
    assert squeezed("À vous rembourser") not in plain(facts)
    order, after, _ = follow(order, after, AcceptAnyway(statement_id="s1"), "2026-03-21 10:00")
    says(decided(order, after), "acceptée par nous, sans que la loi nous y oblige")


def test_a_seal_that_was_broken_and_information_that_was_missing_change_the_letter() -> None:
    sealed = cared(sold("1", exception=9, exception_shown=True))
    order, after, _ = follow(received(line()), sealed, stated("2026-03-10 10:00"), "2026-03-10 10:00")
    order, after, _ = follow(order, after, ProveUnsealed(line_id="1", on=date(2026, 3, 15)), "2026-03-15 10:00")
    says(decided(order, after), "pas de droit de rétractation", "L. 221-28 9°")
    order, after = one_lamp("2026-05-02 10:00")
    order, after, _ = follow(order, after, Inform(), "2026-05-03 10:00")
    says(decided(order, after), "rétractation acceptée", "19 mars 2027", "L. 221-20")


def test_a_service_that_was_used_and_digital_content_have_their_articles() -> None:
    service = sold(
        "1", "service", service_days=30, started_on=date(2026, 3, 3), requested_at=datetime(2026, 3, 2, 9, tzinfo=UTC)
    )
    order = ordered(line("1", net_minor=3000), line("2", net_minor=900), delivery_minor=0)
    order, after, _ = follow(
        order, cared(service, sold("2", "digital")), stated("2026-03-13 10:00"), "2026-03-13 10:00"
    )
    says(decided(order, after), "10,00 €", "article L. 221-25", "29,00 €", "article L. 221-26-1", "Ligne 2")


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_same_facts_give_the_same_bytes_and_a_link_stands_where_there_is_one(language: str) -> None:
    for facts in (acknowledged(*one_lamp(), WORDS, language=language), decided(*one_lamp(), language=language)):
        assert render(facts) == render(facts)
        linked = render(replace(facts, url="https://pay.lumen.example/v/token"))
        assert 'href="https://pay.lumen.example/v/token"' in linked.html
        assert "https://pay.lumen.example/v/token" in linked.text


def test_both_languages_have_the_same_words() -> None:
    assert words("fr").names() == words("en").names()
