"""What evidence says of the two acts beside the order button: the words that were ticked, by rule, version and hash."""

from hashlib import sha256

import pytest

from services.checkout.application import telling
from services.checkout.domain.checkouts import ChooseMeans, Contact, GiveContact
from services.checkout.domain.offers import History
from services.checkout.domain.pricing import Basis
from services.checkout.domain.records import CartLine, PressActs, Record
from services.checkout.domain.viewing import see
from tests.integration.checkout.desk_kit import AT, FILM, HOME
from tests.unit.checkout.test_pricing_and_viewing import ID, LAW, OLD, basis, checkout


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_words_of_both_boxes_are_on_record(language: str) -> None:
    found = Basis(
        shop=basis().shop, articles={FILM.sku: FILM}, histories={FILM.sku: History(sku=FILM.sku, prices=(OLD,))}
    )
    acts = (GiveContact(contact=Contact(email="ada@example.org")), ChooseMeans(means="transfer"))
    record = Record(id=str(ID), shop="lumen", lines=(CartLine(FILM.sku, 1),), address=HOME, locale=language)
    view = see(checkout(*acts, needs_delivery=False), record, found, AT, LAW).view
    pressed = PressActs(early_start=True, loss_acknowledged=True)
    said = telling.accepted(view, pressed, telling.Terms("0" * 64), LAW[0])
    early = next(one for one in said if one.what == "early_start")
    for name in ("early_request", "early_loss"):
        shown = view.texts[name]
        assert early.facts[name]["sha256"] == sha256(shown.text.encode()).hexdigest()
        assert (early.facts[name]["rule"], early.facts[name]["version"]) == ("A11", shown.version)
        assert view.recap is not None
        assert view.recap.texts[name] == shown.sha256
