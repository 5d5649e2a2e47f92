import pytest

from tests.unit.law.asking import ask


def check(name: str, language: str = "fr", now: int = 4990, later: int = 0) -> tuple[str, str]:
    order = {"due_now_minor": now, "due_later_minor": later}
    found = ask("button.check", accessible_name=name, language=language, order=order)
    return found["result"], found["facts"]["status"]


@pytest.mark.parametrize(
    "name",
    [
        "Commander avec obligation de paiement",
        "commande avec obligation de paiement",  # the words of the article
        "  COMMANDER  avec obligation de\u00a0paiement ",  # nobody hears the difference
    ],
)
def test_the_words_of_the_article_are_allowed(name: str) -> None:
    assert check(name) == ("allowed", "allowed")
    assert check(name, "fr-FR") == ("allowed", "allowed")


@pytest.mark.parametrize("name", ["Acheter maintenant", "Payer maintenant"])
def test_what_only_guidance_allows_is_a_reading(name: str) -> None:
    found = ask("button.check", accessible_name=name, language="fr", order={"due_now_minor": 1, "due_later_minor": 0})
    assert (found["result"], found["reading"]) == ("allowed", "U")


@pytest.mark.parametrize("name", ["Order with obligation to pay", "Buy now", "Pay now", "BUY NOW"])
def test_english_formulas_are_allowed_as_a_reading(name: str) -> None:
    assert check(name, "en-GB") == ("allowed", "by_guidance")


@pytest.mark.parametrize(
    "name",
    [
        "Valider",
        "Confirmer",
        "Commander",
        "Continuer",
        "Passer la commande",
        "Réserver",
        "S'inscrire",
        "S\u2019inscrire",
    ],
)
def test_what_does_not_say_that_one_pays_is_refused(name: str) -> None:
    assert check(name) == ("refused", "denied")


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("", "fr"),
        ("Payer 49,90 €", "fr"),  # only the words: no price in the button
        ("Commander avec obligation de paiement !", "fr"),
        ("Valider ma commande", "fr"),
        ("Order with obligation to pay", "fr"),  # another language than that of the button
        ("Commander avec obligation de paiement", "en"),
        ("Zahlungspflichtig bestellen", "de"),  # nobody has read German law into the book
    ],
)
def test_what_is_not_known_is_refused(name: str, language: str) -> None:
    assert check(name, language) == ("refused", "unknown")


@pytest.mark.parametrize(("now", "later"), [(0, 1), (1, 0), (1, 1)])
def test_the_rule_holds_as_soon_as_anything_will_ever_be_due(now: int, later: int) -> None:
    # CJEU C-400/22: a free trial that turns into a subscription obliges to pay.
    assert check("Essayer gratuitement", now=now, later=later) == ("refused", "unknown")
    assert check("S'inscrire", now=now, later=later) == ("refused", "denied")
    assert check("Commander avec obligation de paiement", now=now, later=later)[0] == "allowed"


def test_an_order_that_never_costs_anything_needs_no_such_words() -> None:
    assert check("S'inscrire", now=0, later=0) == ("allowed", "not_applicable")


def test_a_later_payment_is_rule_a05() -> None:
    later = ask("button.check", accessible_name="x", language="fr", order={"due_now_minor": 0, "due_later_minor": 999})
    assert (later["rule"], later["article"]) == ("A05", "L221-14")
    now = ask("button.check", accessible_name="x", language="fr", order={"due_now_minor": 9, "due_later_minor": 0})
    assert (now["rule"], now["article"]) == ("A04", "L221-14")
