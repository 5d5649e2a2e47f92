"""Links into the pages: what each opens, what it shows before a code is entered, and how little a guess gets."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from services.checkout.domain.presenting import View
from tests.integration.checkout.bank_kit import RunningBank
from tests.integration.checkout.pages_kit import Browser, Hosted, hosted, order_as_far_as, order_of

PAID = "4242424242424242"
PERSONAL = ("camille@example.org", "Camille", "Martin", "12 rue des Lilas", "6 12 34")


@pytest.fixture(scope="module")
def pages(bank: RunningBank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    with hosted(tmp_path_factory.mktemp("pages"), bank, guesses_max=10_000) as pages:
        yield pages


@pytest.fixture
def browser(pages: Hosted) -> Browser:
    return Browser(pages)


def state_of(pages: Hosted, here: str) -> View:
    view = pages.run(pages.desk.view("demo", UUID(here.rpartition("/")[2])))
    assert isinstance(view, View)
    return view


def test_the_link_into_a_checkout_opens_once_and_not_for_a_browser_that_looks_ahead(pages: Hosted) -> None:
    url = pages.enter(pages.cart())
    ahead = Browser(pages)
    assert ahead.http.get(url, headers={"sec-purpose": "prefetch"}).status_code == 503
    first, second = Browser(pages), Browser(pages)
    assert first.go(url).status_code == 200
    assert second.go(url).status_code == 410
    assert not second.cookie


def test_wrong_links_are_few(bank: RunningBank, tmp_path_factory: pytest.TempPathFactory) -> None:
    with hosted(tmp_path_factory.mktemp("few"), bank, guesses_max=3) as few:
        browser = Browser(few)
        good = few.enter(few.cart())
        assert [browser.go(f"/{kind}/guess").status_code for kind in ("r", "p", "v", "enter")] == [410, 410, 410, 429]
        assert int(browser.page.headers["retry-after"]) > 0
        assert browser.go(good).status_code == 200


def test_a_link_opens_only_what_it_was_made_for(pages: Hosted, browser: Browser) -> None:
    order_id = order_of(browser)
    stranger = Browser(pages)
    pay = pages.run(pages.desk.issue("demo", "order.pay", order_id))
    assert stranger.go(f"/p/{pay}").status_code == 200
    assert stranger.go(f"/v/{pay}").status_code == 410
    assert stranger.go(f"/r/{pay}").status_code == 410
    assert stranger.go(f"/enter/{pay}").status_code == 410


def test_the_restore_link_shows_the_cart_and_nothing_of_the_person(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "recap", "LL-AMPOULE")
    token = pages.run(pages.desk.issue("demo", "cart.restore", here.rpartition("/")[2]))
    elsewhere = Browser(pages)
    page = elsewhere.go(f"/r/{token}").text
    assert "Ampoule à filament" in page
    assert not any(word in page for word in PERSONAL)
    assert not elsewhere.cookie
    elsewhere.submit(f"/r/{token}", {})
    assert elsewhere.page.status_code == 200
    assert elsewhere.url.endswith("/cart")
    checkout = elsewhere.url.removesuffix("/cart")
    assert checkout != here
    for step in ("cart", "contact", "delivery"):
        assert not any(word in elsewhere.go(f"{checkout}/{step}").text for word in PERSONAL)
    assert "Ce panier continue ailleurs" in browser.go(f"{here}/recap").text
    third = Browser(pages)
    assert "Ampoule à filament" in third.go(f"/r/{token}").text


def test_on_his_own_device_the_shopper_goes_on_with_what_he_had_entered(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "recap", "LL-AMPOULE")
    token = pages.run(pages.desk.issue("demo", "cart.restore", here.rpartition("/")[2]))
    browser.go(f"/r/{token}")
    browser.submit(f"/r/{token}", {})
    assert browser.url == f"{here}/cart"
    assert "camille@example.org" in browser.go(f"{here}/recap").text


@pytest.mark.parametrize(
    ("choice", "units"), [("replace", {"LL-AMPOULE": 1}), ("add", {"LL-AMPOULE": 1, "LL-AURORE": 2})]
)
def test_another_cart_of_the_device_is_replaced_or_added_to_as_he_says(
    pages: Hosted, browser: Browser, choice: str, units: dict[str, int]
) -> None:
    saved = pages.cart("LL-AMPOULE")
    browser.go(pages.enter(pages.cart("LL-AURORE", "LL-AURORE")))
    token = pages.run(pages.desk.issue("demo", "cart.restore", str(saved.checkout.id)))
    assert "Un autre panier se trouve sur cet appareil" in browser.go(f"/r/{token}").text
    assert browser.send(f"/r/{token}", {}).status_code == 422
    browser.submit(f"/r/{token}", {"choice": choice})
    lines = state_of(pages, browser.url.removesuffix("/cart")).record.lines
    assert {line.sku: line.quantity for line in lines} == units


def test_a_cart_that_was_ordered_says_so_and_makes_no_other(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "recap")
    browser.send(f"{here}/order", {"recap": browser.hidden("recap"), "terms": "yes"})
    token = pages.run(pages.desk.issue("demo", "cart.restore", here.rpartition("/")[2]))
    elsewhere = Browser(pages)
    assert "déjà commandé" in elsewhere.go(f"/r/{token}").text
    assert not any(word in elsewhere.page.text for word in PERSONAL)
    assert "déjà commandé" in elsewhere.send(f"/r/{token}", {"csrf": "x"}).text
    assert "Voir ma commande" in browser.go(f"/r/{token}").text


def test_the_pay_link_pays_and_shows_no_personal_data_before_the_code(
    pages: Hosted, browser: Browser, bank: RunningBank
) -> None:
    order_id = order_of(browser)
    token = pages.run(pages.desk.issue("demo", "order.pay", order_id))
    other = Browser(pages)
    page = other.go(f"/p/{token}").text
    assert not any(word in page for word in PERSONAL)
    assert "c•••@e•••.org" in page
    answer = other.send(f"/p/{token}/pay", {"means": "card"})
    assert answer.status_code == 303
    other.go(bank.pay(answer.headers["location"], PAID).headers["location"])
    assert "Merci" in other.page.text
    assert not any(word in other.page.text for word in PERSONAL)
    assert not any(word in other.go(f"/o/{order_id}").text for word in PERSONAL)


def test_the_code_opens_the_rest_and_few_wrong_ones_are_taken(pages: Hosted, browser: Browser) -> None:
    order_id = order_of(browser)
    token = pages.run(pages.desk.issue("demo", "order.view", order_id))
    other = Browser(pages)
    other.go(f"/v/{token}")
    assert other.send(f"/v/{token}/code", {"act": "send", "csrf": "no"}).status_code == 403
    assert not pages.messages("code", order_id)
    sent = other.send(f"/v/{token}/code", {"act": "send"})
    assert "Un code vous est envoyé" in sent.text
    message = pages.messages("code", order_id)[-1]
    assert message["to"] == "camille@example.org"
    code = str(message["facts"]["code"])
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert other.send(f"/v/{token}/code", {"act": "check", "code": wrong}).status_code == 422
    other.submit(f"/v/{token}/code", {"act": "check", "code": f" {code[:3]} {code[3:]} "})
    assert other.url == f"/o/{order_id}"
    assert "Camille Martin" in other.page.text
    again = Browser(pages)
    again.go(f"/v/{token}")
    assert again.send(f"/v/{token}/code", {"act": "check", "code": code}).status_code == 422


def test_codes_are_tried_five_times(pages: Hosted, browser: Browser) -> None:
    order_id = order_of(browser)
    token = pages.run(pages.desk.issue("demo", "order.view", order_id))
    other = Browser(pages)
    other.go(f"/v/{token}")
    other.send(f"/v/{token}/code", {"act": "send"})
    code = str(pages.messages("code", order_id)[-1]["facts"]["code"])
    for _ in range(5):
        other.send(f"/v/{token}/code", {"act": "check", "code": "abc"})
    assert other.send(f"/v/{token}/code", {"act": "check", "code": code}).status_code == 422
