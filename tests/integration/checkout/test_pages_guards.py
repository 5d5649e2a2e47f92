"""What the pages refuse: forged forms, other people's checkouts and orders, planted cookies, guesses, injections."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from starlette.routing import Route

from relance.rules.law.book import default_book
from services.checkout.adapters.printing import LegalShelf
from services.checkout.api.pages import PageSettings, make_pages, redacted
from services.checkout.application.room import Terms
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.records import CartLine, NewCart
from tests.integration.checkout.bank_kit import RunningBank
from tests.integration.checkout.pages_kit import CONTACT, HOME, Browser, Hosted, hosted, order_as_far_as, order_of

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


def test_no_address_with_an_id_opens_for_a_stranger(pages: Hosted, browser: Browser) -> None:
    ids = {"order_id": order_of(browser), "checkout_id": order_as_far_as(browser, "recap").rpartition("/")[2]}
    stranger = Browser(pages)
    order_as_far_as(stranger, "recap")
    settings = PageSettings(secrets=("s" * 40,))
    made = make_pages(pages.desk, settings, LegalShelf(default_book())).routes
    routes = [one for one in made if isinstance(one, Route) and "_id}" in one.path]
    assert len(routes) >= 18
    for route in routes:
        path = route.path.format(**ids, name="confirmation.pdf", statement=uuid4(), contract=uuid4())
        for method in sorted((route.methods or set()) & {"GET", "POST"}):
            fields = CONTACT | HOME | {"terms": "yes", "means": "card", "csrf": stranger.token}
            answer = stranger.go(path) if method == "GET" else stranger.send(path, fields)
            assert answer.status_code == 404, f"{method} {path}"
            assert not any(word in answer.text for word in PERSONAL), path


def test_who_tests_cards_from_one_address_is_stopped(bank: RunningBank, tmp_path: Path) -> None:
    with hosted(tmp_path, bank) as pages:
        pages.desk.terms = Terms(base_url=pages.url, attempts_per_address=3)
        answers = []
        for _ in range(5):
            tester = Browser(pages)
            here = order_as_far_as(tester, "recap")
            answers.append(tester.send(f"{here}/order", {"recap": tester.hidden("recap"), "terms": "yes"}))
        assert [one.status_code for one in answers[:3]] == [303] * 3
        assert all(one.status_code != 303 for one in answers[3:])
        assert "location" not in answers[4].headers


def test_who_guesses_coupons_from_one_address_is_stopped(bank: RunningBank, tmp_path: Path) -> None:
    with hosted(tmp_path, bank, guesses_max=3) as pages:
        statuses = []
        for number in range(5):
            guesser = Browser(pages)
            here = order_as_far_as(guesser, "contact")
            guesser.go(f"{here}/cart")
            guess = {"quantity.0": "1", "act": "coupon", "coupon": f"BIENVENU{number}"}
            statuses.append(guesser.send(f"{here}/cart", guess).status_code)
        assert statuses == [422, 422, 422, 429, 429]


def test_the_same_click_again_gets_its_receipt_and_another_one_waits(bank: RunningBank, tmp_path: Path) -> None:
    with hosted(tmp_path, bank, guesses_max=2) as pages:
        for path, more in (("/withdraw/demo", {}), ("/terminate/demo", {"act": "notify"})):
            guest = Browser(pages)
            guest.go(f"{path}?lang=fr")
            form = {"nonce": guest.hidden("nonce"), "csrf": guest.token, "name": "Zoé", "email": "zoe@a.example"} | more
            clicks = ["la lampe"] * 4 + ["le vase"] * 2 + ["le tapis", "la lampe"]
            answers = [guest.send(f"{path}?lang=fr", form | {"reference": one}) for one in clicks]
            assert [one.status_code for one in answers] == [200] * 6 + [429, 200]
            assert "la lampe" in answers[-1].text


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
    assert given.contact.last_name == "Mar X-Evil: 1tin"


def test_a_body_that_is_no_form_or_too_large_is_refused(browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    headers = {"cookie": browser.cookie}
    for content, kind in (
        (b"{}", "application/json"), (b"x", "multipart/form-data; boundary=x"),
        (b"a" * 270_000, FORM), (b"&".join(b"a%d=1" % n for n in range(2_000)), FORM),
    ):  # fmt: skip
        answer = browser.http.post(f"{here}/contact", content=content, headers=headers | {"content-type": kind})
        assert answer.status_code == 413, kind


FORM = "application/x-www-form-urlencoded"


def test_logs_name_no_token() -> None:
    line = 'GET /r/abc-DEF_123?x=1 "/v/tok" /p/tok/pay /enter/tok /o/kept /c/kept/cart'
    assert redacted(line) == 'GET /r/…?x=1 "/v/…" /p/…/pay /enter/… /o/kept /c/kept/cart'
    assert not re.search("tok|abc", redacted(line))
