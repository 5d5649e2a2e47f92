"""What the law, or the stock, forbids after a cart was changed: said at the cart, beside its line, with what to do."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.checkout.domain.articles import Article
from services.checkout.domain.presenting import View
from tests.integration.checkout.bank_kit import RunningBank
from tests.integration.checkout.pages_kit import EXAMPLE, Browser, Hosted, hosted, order_as_far_as

ARTICLES = {one.sku: one for one in msgspec.yaml.decode((EXAMPLE / "articles.yaml").read_bytes(), type=list[Article])}


@pytest.fixture
def pages(bank: RunningBank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    with hosted(tmp_path_factory.mktemp("law"), bank) as pages:
        yield pages


def put(pages: Hosted, sku: str, **facts: Any) -> None:
    """The shop describes an article anew."""
    article = msgspec.structs.replace(ARTICLES[sku], facts=ARTICLES[sku].facts | facts)
    assert pages.run(pages.desk.put_articles("demo", [article])) is None


def test_an_article_that_may_not_be_sold_is_named_at_the_cart_beside_its_line(pages: Hosted) -> None:
    browser = Browser(pages)
    here = order_as_far_as(browser, "recap", "LL-AURORE", "LL-AMPOULE")
    put(pages, "LL-AMPOULE", category="tobacco")
    answer = browser.send(f"{here}/order", {"recap": browser.hidden("recap"), "terms": "yes"})
    assert answer.headers["location"] == f"{here}/cart"
    page = browser.go(f"{here}/recap").text
    assert browser.url == f"{here}/cart"
    assert 'href="#quantity.1"' in page
    assert 'id="quantity.1-wrong"' in page
    assert "Retirez-le pour commander le reste" in page
    assert "G14" in page
    assert "Continuer : le récapitulatif" not in page.replace("\u00a0", " ")
    browser.submit(f"{here}/cart", {"remove": "1"})
    assert "Retirez-le" not in browser.page.text
    browser.go(f"{here}/recap")
    assert browser.hidden("recap")


def test_what_only_the_shop_can_put_right_is_said_at_the_cart_too(pages: Hosted) -> None:
    browser = Browser(pages)
    here = order_as_far_as(browser, "recap", "LL-AURORE", "LL-AMPOULE")
    put(pages, "LL-AMPOULE", characteristics="")
    page = browser.go(f"{here}/cart").text
    assert 'id="quantity.1-wrong"' in page
    assert "la boutique de corriger" in page
    assert browser.go(f"{here}/contact").status_code == 200


def test_what_is_no_longer_sold_is_named_and_can_be_taken_out(pages: Hosted) -> None:
    browser = Browser(pages)
    here = order_as_far_as(browser, "recap", "LL-AURORE", "LL-AMPOULE")
    assert pages.run(pages.desk.put_levels("demo", {"LL-AMPOULE": 0})) is None
    page = browser.go(f"{here}/cart").text
    assert page.count("est épuisé") == 2  # above, and beside its line
    browser.submit(f"{here}/cart", {"remove": "1"})
    view = pages.run(pages.desk.view("demo", UUID(here.rpartition("/")[2])))
    assert isinstance(view, View)
    assert [line.sku for line in view.record.lines] == ["LL-AURORE"]
    browser.go(f"{here}/recap")
    assert browser.hidden("recap")
