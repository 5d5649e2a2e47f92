"""What a shop attests of a click on its own page, on both sides of each boundary."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.checkout.domain.attested import (
    CLOCKS_DIFFER,
    IN_ORDER,
    SET_LASTS,
    Attested,
    Disclosed,
    DisclosureSet,
    agrees,
)

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
FORM = Disclosed("a" * 64, "B11", "R221-1")
FOUND = DisclosureSet(
    id="set", checkout_id="c", recap_hash="r", language="fr", texts={"form": FORM}, buttons=("Payer",), issued_at=AT
)
replace = msgspec.structs.replace


def attested(**changed: object) -> Attested:
    acts = {name: AT + timedelta(seconds=place) for place, name in enumerate(IN_ORDER, start=1)}
    whole = Attested(
        set_id="set", rendered={"form": "a" * 64}, button_text="Payer", acts=acts, locale="fr-FR", user_agent="x"
    )
    return replace(whole, **changed)


def field(wrong: Attested, at: datetime = AT + timedelta(seconds=5), checkout: str = "c") -> str:
    refused = agrees(FOUND, wrong, checkout, at)
    return "" if refused is None else refused.field


def test_a_click_that_agrees_with_its_set_is_allowed() -> None:
    assert agrees(FOUND, attested(), "c", AT + timedelta(seconds=5)) is None


def test_a_set_holds_to_the_last_instant_of_fifteen_minutes() -> None:
    last = AT + SET_LASTS
    assert agrees(FOUND, attested(), "c", last - timedelta(microseconds=1)) is None
    refused = agrees(FOUND, attested(), "c", last)
    assert refused is not None
    assert (refused.field, refused.rule, refused.article) == ("set_id", "A07", "Code civil, 1127-2 al. 1")


def test_a_set_is_one_checkouts() -> None:
    assert field(attested(), checkout="another") == "set_id"
    refused = agrees(None, attested(), "c", AT)
    assert refused is not None
    assert refused.field == "set_id"


def test_a_text_that_was_not_shown_is_refused_with_the_rule_that_asks_for_it() -> None:
    refused = agrees(FOUND, attested(rendered={}), "c", AT)
    assert refused is not None
    assert (refused.field, refused.rule, refused.article) == ("rendered.form", "B11", "R221-1")


def test_another_text_or_one_too_many_is_refused() -> None:
    assert field(attested(rendered={"form": "b" * 64})) == "rendered.form"
    assert field(attested(rendered={"form": "A" * 64})) == ""
    assert field(attested(rendered={"form": "a" * 64, "more": "c" * 64})) == "rendered.more"


def test_words_on_the_button_are_those_of_the_set() -> None:
    refused = agrees(FOUND, attested(button_text="Valider"), "c", AT)
    assert refused is not None
    assert (refused.field, refused.rule) == ("button_text", "A04")


def test_the_page_speaks_the_language_of_the_set() -> None:
    assert field(attested(locale="en")) == "locale"
    assert field(attested(locale="FR_fr")) == ""


@pytest.mark.parametrize("name", IN_ORDER)
def test_no_act_of_a_click_is_missing(name: str) -> None:
    acts = {other: at for other, at in attested().acts.items() if other != name}
    assert field(attested(acts=acts)) == f"acts.{name}"


def test_terms_are_accepted_before_the_button_is_pressed() -> None:
    acts = attested().acts
    swapped = acts | {"terms_accepted": acts["order_pressed"], "order_pressed": acts["terms_accepted"]}
    assert field(attested(acts=swapped)) == "acts.order_pressed"


def test_clocks_may_differ_by_a_minute_and_no_more() -> None:
    at = AT + timedelta(minutes=5)
    acts = attested().acts
    early = acts | {"recap_shown": AT - CLOCKS_DIFFER}
    assert field(attested(acts=early), at) == ""
    assert field(attested(acts=acts | {"recap_shown": AT - CLOCKS_DIFFER - timedelta(seconds=1)}), at)
    late = acts | {"order_pressed": at + CLOCKS_DIFFER}
    assert field(attested(acts=late), at) == ""
    later = acts | {"order_pressed": at + CLOCKS_DIFFER + timedelta(seconds=1)}
    assert field(attested(acts=later), at) == "acts.order_pressed"


def test_what_is_declared_comes_before_the_button() -> None:
    after = attested().acts | {"age_declared": attested().acts["order_pressed"] + timedelta(seconds=1)}
    assert field(attested(acts=after)) == "acts.age_declared"
