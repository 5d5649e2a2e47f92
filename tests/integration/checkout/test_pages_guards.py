"""What the pages refuse: forged forms, other people's checkouts and orders, planted cookies, guesses, injections."""

import re
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from services.checkout.api.pages import redacted
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.records import CartLine, NewCart
from tests.integration.checkout.bank_kit import RunningBank, running_bank
from tests.integration.checkout.pages_kit import CONTACT, HOME, Browser, Hosted, hosted, order_as_far_as

PAID = "4242424242424242"
PERSONAL = ("camille@example.org", "Camille", "Martin", "12 rue des Lilas", "6 12 34")


@pytest.fixture(scope="module")
def bank() -> Iterator[RunningBank]:
    with running_bank() as bank:
        yield bank


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


def order_of(browser: Browser) -> str:
    """A whole order, placed; returns its id."""
    here = order_as_far_as(browser, "recap")
    answer = browser.send(f"{here}/order", {"recap": browser.hidden("recap"), "terms": "yes"})
    assert answer.status_code == 303
    browser.go(f"{here}/recap")
    return browser.url.split("/")[2]


def test_every_page_is_guarded_by_the_same_strict_headers(browser: Browser) -> None:
    here = order_as_far_as(browser, "recap")
    for path in [f"{here}/{step}" for step in ("cart", "contact", "delivery", "payment", "recap")] + ["/r/nothing"]:
        headers = browser.go(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in headers  # the proxy's
    assert browser.go(f"{here}/recap").headers["content-security-policy"].count("http://127.0.0.1") >= 1


def test_the_cookie_is_kept_from_scripts_and_other_sites(pages: Hosted, browser: Browser) -> None:
    answer = browser.http.get(pages.enter(pages.cart()))
    cookie = answer.headers["set-cookie"].lower()
    for wanted in ("httponly", "secure", "samesite=lax", "path=/", "__host-"):
        assert wanted in cookie
    assert "domain" not in cookie


def test_the_session_changes_at_the_contact_and_at_the_order(browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    before = browser.cookie
    browser.go(f"{here}/contact")
    browser.submit(f"{here}/contact", CONTACT)
    after = browser.cookie
    assert after != before
    browser.submit(f"{here}/delivery", HOME)
    browser.submit(f"{here}/payment", {"means": "card", "act": "go"})
    assert browser.cookie == after
    browser.send(f"{here}/order", {"recap": browser.hidden("recap"), "terms": "yes"})
    assert browser.cookie != after


def test_who_planted_a_cookie_sees_nothing_of_what_its_bearer_enters(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    thief = Browser(pages)
    thief.cookie = browser.cookie  # fixation: both have the same session until the contact
    browser.go(f"{here}/contact")
    browser.submit(f"{here}/contact", CONTACT)
    for step in ("cart", "contact", "delivery", "payment", "recap"):
        answer = thief.go(f"{here}/{step}")
        assert answer.status_code == 404
        assert not any(word in answer.text for word in PERSONAL)
    assert thief.send(f"{here}/contact", CONTACT | {"email": "thief@example.org"}).status_code == 404
    given = state_of(pages, here).checkout.contact
    assert given is not None
    assert given.contact.email == CONTACT["email"]


def test_a_cookie_of_before_the_order_does_not_show_it(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "recap")
    thief = Browser(pages)
    thief.cookie = browser.cookie
    browser.send(f"{here}/order", {"recap": browser.hidden("recap"), "terms": "yes"})
    browser.go(f"{here}/recap")
    order = browser.url
    assert "Camille Martin" in browser.go(order.removesuffix("/thanks")).text
    assert thief.go(order).status_code == 404
    seen = thief.go(f"{here}/recap").text
    assert not any(word in seen for word in PERSONAL)
    assert "sont masqués" in seen


def test_a_forged_cookie_opens_nothing(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "delivery")
    name, _, value = browser.cookie.partition("=")
    body, _, signature = value.rpartition(".")
    other = ("B" if signature[0] == "A" else "A") + signature[1:]
    for forged in (f"{body}.{other}", f"{body}A.{signature}", body, "." * 10, "A" * 5000, ""):
        browser.cookie = f"{name}={forged}"
        assert browser.go(f"{here}/contact").status_code == 404


@pytest.mark.parametrize("token", ["", "x", "é" * 40])
def test_a_form_without_its_token_changes_nothing_and_keeps_what_was_typed(
    pages: Hosted, browser: Browser, token: str
) -> None:
    here = order_as_far_as(browser, "contact")
    browser.go(f"{here}/contact")
    answer = browser.send(f"{here}/contact", CONTACT | {"csrf": token, "last_name": "Typed"})
    assert answer.status_code == 403
    assert 'value="Typed"' in answer.text
    assert "Rien n\u2019est perdu" in answer.text
    assert state_of(pages, here).checkout.contact is None
    assert browser.submit(f"{here}/contact", CONTACT).status_code == 200
    assert browser.url == f"{here}/delivery"


def test_the_token_of_another_checkout_or_of_before_the_contact_does_not_hold(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    browser.go(f"{here}/contact")
    old = browser.token
    browser.submit(f"{here}/contact", CONTACT)
    assert browser.token != old
    assert browser.send(f"{here}/delivery", HOME | {"csrf": old}).status_code == 403
    other = Browser(pages)
    order_as_far_as(other, "delivery")
    assert browser.send(f"{here}/delivery", HOME | {"csrf": other.token}).status_code == 403
    assert state_of(pages, here).checkout.delivery is None


def test_the_order_button_pressed_by_another_site_orders_nothing(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "recap")
    recap = browser.hidden("recap")
    for site in ("cross-site", "same-site"):
        answer = browser.send(f"{here}/order", {"recap": recap, "terms": "yes"}, sec_fetch_site=site)
        assert answer.status_code == 403
    assert browser.send(f"{here}/order", {"recap": recap, "terms": "yes", "csrf": "no"}).status_code == 403
    assert state_of(pages, here).checkout.state == "recap"


def test_nobody_sees_another_shoppers_checkout_order_or_documents(pages: Hosted, browser: Browser) -> None:
    order_id = order_of(browser)
    here = order_as_far_as(browser, "recap")
    stranger = Browser(pages)
    order_as_far_as(stranger, "recap")
    paths = [f"{here}/{step}" for step in ("cart", "contact", "recap")]
    paths += [f"/o/{order_id}", f"/o/{order_id}/thanks", f"/o/{order_id}/documents/confirmation.pdf", f"/o/{uuid4()}",
              f"/c/{uuid4()}/cart", "/c/not-a-uuid/cart", "/o/1"]  # fmt: skip
    for path in paths:
        answer = stranger.go(path)
        assert answer.status_code == 404, path
        assert not any(word in answer.text for word in PERSONAL)
    assert stranger.send(f"/o/{order_id}/pay", {"means": "card"}).status_code == 404
    assert stranger.send(f"{here}/cart", {"remove": "0"}).status_code == 404


def test_get_never_acts(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "recap")
    before = state_of(pages, here).checkout
    fields = {"recap": browser.hidden("recap"), "terms": "yes", "csrf": browser.token}
    for step in ("cart", "contact", "delivery", "payment", "recap", "order"):
        browser.http.get(f"{here}/{step}", params=fields | CONTACT | HOME, headers={"cookie": browser.cookie})
    assert state_of(pages, here).checkout == before


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/", "//evil.example", "javascript:alert(1)", "http://127.0.0.1:8091@evil.example/",
     "https://evil.example/?http://127.0.0.1:8091", "http://127.0.0.1:8091\\@evil.example", "\thttps://evil.example"],
)  # fmt: skip
def test_nobody_is_sent_where_the_shop_does_not_want(pages: Hosted, url: str) -> None:
    cart = NewCart(cart_id=str(uuid4()), lines=(CartLine("LL-AURORE", 1),), return_url=url)
    made = pages.run(pages.desk.create("demo", cart, str(uuid4())))
    assert isinstance(made, Refusal)
    assert made.field == "return_url"


def test_only_the_provider_that_the_settings_name_gets_the_shopper(
    bank: RunningBank, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with hosted(tmp_path_factory.mktemp("elsewhere"), bank, payment_origins=("https://pay.example",)) as pages:
        browser = Browser(pages)
        here = order_as_far_as(browser, "recap")
        policy = browser.page.headers["content-security-policy"]
        assert "form-action 'self' https://pay.example;" in policy
        answer = browser.send(f"{here}/order", {"recap": browser.hidden("recap"), "terms": "yes"})
        assert answer.headers["location"].startswith("/o/")
        assert "Payer votre commande" in browser.go(answer.headers["location"]).text


def test_no_field_leads_anywhere_else(browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    browser.go(f"{here}/contact?next=https://evil.example&return_url=//evil.example")
    answer = browser.send(f"{here}/contact", CONTACT | {"next": "https://evil.example", "return_url": "//evil.example"})
    assert answer.headers["location"] == f"{here}/delivery"


HOSTILE = "{{7*7}}{% raw %}<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def test_what_is_typed_is_shown_and_never_run(browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    browser.go(f"{here}/contact")
    browser.submit(f"{here}/contact", CONTACT | {"first_name": HOSTILE})
    browser.submit(f"{here}/delivery", HOME | {"name": HOSTILE, "city": "=cmd|'/C calc'!A0"})
    browser.submit(f"{here}/payment", {"means": "card", "act": "go"})
    page = browser.page.text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "{{7*7}}" in page
    wrong = browser.send(f"{here}/cart", {"coupon": HOSTILE, "act": "coupon"})
    assert "<script>alert" not in wrong.text
    near = browser.go(f"{here}/delivery?near=<script>alert(1)</script>").text
    assert "<script>" not in near


def test_line_ends_in_fields_make_no_headers_and_no_second_line(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    browser.go(f"{here}/contact")
    sent = browser.send(f"{here}/contact", CONTACT | {"email": "a@example.org\r\nBcc: b@example.org"})
    assert sent.status_code == 422
    answer = browser.submit(f"{here}/contact", CONTACT | {"last_name": "Mar\r\nX-Evil: 1\x00tin\u202e"})
    assert "x-evil" not in answer.headers
    given = state_of(pages, here).checkout.contact
    assert given is not None
    assert given.contact.last_name == "MarX-Evil: 1tin"


def test_a_body_that_is_no_form_or_too_large_is_refused(browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    headers = {"cookie": browser.cookie}
    for content, kind in (
        (b"{}", "application/json"), (b"x", "multipart/form-data; boundary=x"), (b"\xff\xfe=1", FORM),
        (b"a" * 70_000, FORM), (b"&".join(b"a%d=1" % n for n in range(2_000)), FORM),
    ):  # fmt: skip
        answer = browser.http.post(f"{here}/contact", content=content, headers=headers | {"content-type": kind})
        assert answer.status_code == 413, kind


FORM = "application/x-www-form-urlencoded"


# -- links -------------------------------------------------------------------------------------------------------------


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


def test_logs_name_no_token() -> None:
    line = 'GET /r/abc-DEF_123?x=1 "/v/tok" /p/tok/pay /enter/tok /o/kept /c/kept/cart'
    assert redacted(line) == 'GET /r/…?x=1 "/v/…" /p/…/pay /enter/… /o/kept /c/kept/cart'
    assert not re.search("tok|abc", redacted(line))
