"""A stored shop before the law of a day: what comes into force is found without anybody putting the shop again."""

from datetime import date

import pytest
from msgspec.structs import replace

from relance.rules.law.book import default_book
from services.checkout.domain.standing import coming, standing
from tests.integration.checkout.desk_kit import SHOP

BOOK = default_book()
NOW = date(2026, 11, 23)
WITHOUT_FUNCTION = replace(SHOP, legal=replace(SHOP.legal, withdrawal_function_url="", withdrawal_function_label=""))
DAY = date(2026, 6, 19)  # the function of withdrawal of L221-21, last paragraph


def test_a_lawful_shop_stands() -> None:
    found = standing(SHOP, BOOK, NOW)
    assert found.blockers == ()
    assert {one.rule for one in found.warnings} == {"A22"}
    assert coming(SHOP, BOOK, NOW, 200) == ()
    assert [(str(one.day), one.rules) for one in coming(SHOP, BOOK, NOW, 365)] == [("2027-09-01", ("G16",))]


def test_a_rule_blocks_from_its_first_day_on() -> None:
    assert standing(WITHOUT_FUNCTION, BOOK, date(2026, 6, 18)).blockers == ()
    found = standing(WITHOUT_FUNCTION, BOOK, DAY)
    assert "B05" in found.rules
    assert all(one.rule and one.article and one.field for one in found.blockers)


@pytest.mark.parametrize(("days", "told"), [(17, []), (18, [DAY]), (30, [DAY])])
def test_what_will_block_is_told_before(days: int, told: list[date]) -> None:
    assert [one.day for one in coming(WITHOUT_FUNCTION, BOOK, date(2026, 6, 1), days)] == told


def test_what_blocks_already_is_not_told_as_coming() -> None:
    assert coming(WITHOUT_FUNCTION, BOOK, DAY, 30) == ()


def test_each_page_and_each_button_is_looked_at() -> None:
    found = standing(replace(SHOP, button={"fr": "Valider", "en": "Pay now"}, texts={}), BOOK, NOW)
    assert {(one.rule, one.field) for one in found.blockers} >= {("A04", "button.fr"), ("E26", "texts.privacy.fr")}


def test_a_prescribed_text_that_is_missing_is_named() -> None:
    legal = replace(SHOP.legal, sells=("goods", "continuous"))
    assert ("A20", "legal.counsel_texts.A20.continuous") in {
        (one.rule, one.field) for one in standing(replace(SHOP, legal=legal), BOOK, NOW).blockers
    }
