"""Pages that few shoppers meet, in a real Chromium of a phone's width, under axe-core, and without JavaScript."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, ViewportSize

from relance.events.messages import MessageOutcome
from relance.evidence.entries import decode
from relance.rules.law.book import RULES, Book
from services.checkout.adapters.documents import Documents
from services.checkout.domain.articles import Article
from services.checkout.domain.presenting import OrderView
from services.checkout.domain.shops import OfferedMeans, Shop
from services.checkout.domain.tenders import Means
from tests.integration.checkout.bank_kit import RunningBank
from tests.integration.checkout.chromium_kit import DESK, PHONE, axe, check, launched, looking
from tests.integration.checkout.pages_kit import (
    CONTACT,
    EXAMPLE,
    Browser,
    Hosted,
    hosted,
    one_shop,
    order_as_far_as,
    order_of,
)

pytestmark = pytest.mark.browser

BANNER = "L'abus d'alcool est dangereux pour la santé, à consommer avec modération."
ARTICLES = {one.sku: one for one in msgspec.yaml.decode((EXAMPLE / "articles.yaml").read_bytes(), type=list[Article])}
PAPERS = Documents(Book.load(RULES))
__all__ = ["axe"]


def cellar(shop: Shop) -> Shop:
    """A shop that sells alcohol and takes a wallet."""
    wallet = OfferedMeans(means=Means(id="apple_pay", kind="wallet"), label={"fr": "Apple Pay", "en": "Apple Pay"})
    return replace(shop, means=(*shop.means, wallet), texts=shop.texts | {"alcohol_banner": {"fr": BANNER}})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seldom")


@pytest.fixture(scope="module")
def pages(bank: RunningBank, home: Path) -> Iterator[Hosted]:
    with hosted(home, bank, one_shop(cellar), guesses_max=1_000) as pages:
        wine = replace(ARTICLES["LL-AMPOULE"], facts=ARTICLES["LL-AMPOULE"].facts | {"category": "alcohol"})
        assert pages.run(pages.desk.put_articles("demo", [wine])) is None
        yield pages


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with launched() as browser:
        yield browser


def to_recap(page: Page, *, english: bool = False) -> None:
    """From the cart to the recap."""
    page.goto(page.url.rpartition("/")[0] + "/contact")
    for name, value in CONTACT.items():
        page.fill(f"#{name}", value)
    page.locator("main form button.button").last.click()
    page.check("input[value=home]")
    for name, value in (("line1", "12 rue des Lilas"), ("postcode", "44000"), ("city", "Nantes")):
        page.fill(f"#{name}", value)
    page.locator("main form button.button").last.click()
    page.check("input[value=card]")
    page.locator("button[value=go]").click()
    assert page.url.endswith("/recap"), english


@pytest.mark.parametrize(("locale", "language"), [("fr-FR", "fr"), ("en-GB", "en")])
def test_alcohol_has_its_banner_and_its_declaration(
    chromium: Chromium, pages: Hosted, axe: str, locale: str, language: str
) -> None:
    with looking(chromium, locale=locale) as page:
        page.goto(pages.enter(pages.cart("LL-AMPOULE", locale=language)))
        assert page.get_by_text(BANNER).first.get_attribute("lang") == "fr"
        check(page, axe, "cart with alcohol")
        to_recap(page)
        assert page.get_by_text(BANNER).count() == 1
        check(page, axe, "recap with a declaration")
        page.check("#terms")
        page.locator("button[lang]").click()
        assert page.locator("#adult-wrong").is_visible()
        check(page, axe, "recap without the declaration")


def test_who_declares_his_age_orders_without_javascript(chromium: Chromium, pages: Hosted, bank: RunningBank) -> None:
    with looking(chromium, script=False) as page:
        view = pages.cart("LL-AMPOULE")
        page.goto(pages.enter(view))
        to_recap(page)
        assert not page.is_checked("#adult")
        page.check("#terms")
        page.check("#adult")
        page.locator("button[lang]").click()
        page.wait_for_url(f"{bank.url}/**")
    after = pages.run(pages.desk.view("demo", view.checkout.id))
    assert getattr(after, "order_id", None) is not None


def test_a_wallet_is_a_choice_and_no_button_before_the_recap(pages: Hosted, bank: RunningBank) -> None:
    browser = Browser(pages)
    here = order_as_far_as(browser, "payment")
    for step in ("cart", "contact", "delivery", "payment"):
        page = browser.go(f"{here}/{step}")
        assert bank.url not in page.text
        assert f"form-action 'self' {bank.url}" not in page.headers["content-security-policy"]
        for button in page.text.split("<button")[1:]:
            assert "apple" not in button.partition("</button>")[0].lower(), step
    assert 'type="radio" name="means" value="apple_pay"' in browser.page.text
    browser.submit(f"{here}/payment", {"means": "apple_pay", "act": "go"})
    assert "Commander avec obligation de paiement" in browser.page.text
    assert bank.url in browser.page.headers["content-security-policy"]
    assert browser.page.text.count("Apple Pay") == 1


def acknowledged(pages: Hosted) -> tuple[Browser, str]:
    """An order with its confirmation."""
    browser = Browser(pages)
    order_id = order_of(browser)

    async def papers(facts: Any) -> Any:
        return PAPERS.confirmation(facts, PAPERS.accepted_terms(facts))

    assert pages.run(pages.desk.acknowledge("demo", UUID(order_id), papers))
    return browser, order_id


def at_order(page: Page, browser: Browser, path: str) -> None:
    """The page of an order in the browser that made it."""
    name, _, value = browser.cookie.partition("=")
    page.context.add_cookies([
        {"name": name, "value": value, "url": browser.hosted.url.replace("http:", "https:"), "secure": True}
    ])  # fmt: skip
    page.goto(browser.hosted.url + path)


def test_the_confirmation_can_be_downloaded_where_the_order_is(chromium: Chromium, pages: Hosted, axe: str) -> None:
    browser, order_id = acknowledged(pages)
    order = pages.run(pages.desk.order("demo", UUID(order_id)))
    assert isinstance(order, OrderView)
    with looking(chromium) as page:
        at_order(page, browser, f"/o/{order_id}")
        check(page, axe, "order with documents")
    answer = browser.go(f"/o/{order_id}/documents/confirmation.pdf")
    assert answer.content.startswith(b"%PDF-")
    assert answer.headers["content-disposition"] == 'attachment; filename="confirmation.pdf"'
    assert browser.go(f"/o/{order_id}/documents/terms.pdf").content.startswith(b"%PDF-")
    assert Browser(pages).go(f"/o/{order_id}/documents/confirmation.pdf").status_code == 404


def test_what_was_accepted_is_the_pdf_that_the_link_shows_and_the_order_keeps(pages: Hosted) -> None:
    browser, order_id = acknowledged(pages)

    async def accepted() -> list[Any]:
        async with pages.desk.store.reading() as tx:
            entries = map(decode, await tx.entries("demo", order_id))
            return [one.facts["pdf_sha256"] for one in entries if (one.act, one.what) == ("accepted", "terms")]

    shown = browser.go("/legal/demo/terms.pdf").content
    assert pages.run(accepted()) == [sha256(shown).hexdigest()]
    assert browser.go(f"/o/{order_id}/documents/terms.pdf").content == shown


@pytest.mark.parametrize(("locale", "size"), [("fr-FR", PHONE), ("en-GB", DESK)])
def test_a_confirmation_that_came_back_is_said_on_the_page_of_the_order(
    chromium: Chromium, pages: Hosted, axe: str, locale: str, size: ViewportSize
) -> None:
    browser, order_id = acknowledged(pages)
    outcome = MessageOutcome(
        id=uuid4(), request_id=uuid4(), shop="demo", order_id=UUID(order_id), kind="order.confirmation",
        outcome="bounced", at=datetime.now(UTC), status="5.1.1",
    )  # fmt: skip
    pages.run(pages.desk.message_sent(outcome))
    pages.run(pages.desk.message_sent(outcome))
    page_text = browser.go(f"/o/{order_id}").text
    assert page_text.count("Votre confirmation n\u2019a pas pu être remise par e-mail") == 1
    with looking(chromium, locale=locale, size=size) as page:
        at_order(page, browser, f"/o/{order_id}")
        check(page, axe, "order with an alert")


# -- signing in -------------------------------------------------------------------------------------------------------


def test_signing_in_by_mail_without_javascript_and_under_axe(chromium: Chromium, pages: Hosted, axe: str) -> None:
    acknowledged(pages)
    with looking(chromium, script=False) as page:
        view = pages.cart("LL-AURORE")
        page.goto(pages.enter(view))
        page.goto(page.url.rpartition("/")[0] + "/contact")
        page.locator("#account summary").click()
        page.fill("#account_email", CONTACT["email"])
        page.locator("#account button").click()
        assert page.locator("#account [role=status]").is_visible()
        link = pages.messages("account.link", str(view.checkout.id))[-1]["facts"]["link"]
        page.goto(link)
        page.locator("main button.button").click()
        assert page.input_value("#email") == CONTACT["email"]
        assert page.locator("main input:checked").count() == 0
        page.locator("form.who button").click()
        assert page.input_value("#email") == ""
    with looking(chromium, locale="en-GB") as page:
        view = pages.cart("LL-AURORE", locale="en")
        page.goto(pages.enter(view))
        page.goto(page.url.rpartition("/")[0] + "/contact")
        page.locator("#account summary").click()
        page.locator("#account button").click()
        check(page, axe, "contact without an address to send a link to")
        page.fill("#account_email", CONTACT["email"])
        page.locator("#account button").click()
        check(page, axe, "contact after a link was asked for")
        page.goto(pages.messages("account.link", str(view.checkout.id))[-1]["facts"]["link"])
        check(page, axe, "link that signs in")
        page.locator("main button.button").click()
        check(page, axe, "contact of somebody")
        for step in ("cart", "delivery"):
            page.goto(page.url.rpartition("/")[0] + f"/{step}")
            check(page, axe, f"{step} of somebody")


# -- errors -----------------------------------------------------------------------------------------------------------


LANGUAGES = pytest.mark.parametrize(("locale", "language"), [("fr-FR", "fr"), ("en-GB", "en")])


def seen(page: Page, axe: str, url: str, status: int, language: str) -> str:
    """The title of a page that says what is wrong, and what to do."""
    answer = page.goto(url, timeout=60_000)
    assert answer is not None
    assert answer.status == status
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator("main p").first.inner_text().strip()
    check(page, axe, url)
    title = page.title().split(" · ")[0]
    assert title == page.locator("h1").inner_text()
    return title


@LANGUAGES
def test_a_page_that_is_not_there_any_more_says_so_and_what_to_do(
    chromium: Chromium, pages: Hosted, axe: str, locale: str, language: str
) -> None:
    with looking(chromium, locale=locale) as page:
        titles = {seen(page, axe, f"{pages.url}/nothing/here", 404, language)}
        assert titles == {seen(page, axe, f"{pages.url}/c/{uuid4()}/cart", 404, language)}
        titles.add(seen(page, axe, f"{pages.url}/r/none", 410, language))
        view = pages.cart("LL-AURORE", cart_id=f"again-{language}", locale=language)
        page.goto(pages.enter(view))
        pages.cart("LL-AURORE", cart_id=f"again-{language}", locale=language)
        titles.add(seen(page, axe, f"{pages.url}/c/{view.checkout.id}/cart", 410, language))
    assert len(titles) == 3


@LANGUAGES
def test_who_is_too_quick_is_told_how_long_to_wait(
    chromium: Chromium, bank: RunningBank, axe: str, locale: str, language: str, tmp_path: Path
) -> None:
    with hosted(tmp_path, bank, guesses_max=1) as few, looking(chromium, locale=locale) as page:
        page.goto(f"{few.url}/r/none")
        seen(page, axe, f"{few.url}/r/none", 429, language)
        assert page.get_by_text("minute").count() == 1
