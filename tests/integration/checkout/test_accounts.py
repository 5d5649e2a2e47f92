"""Accounts without passwords: the shop's signed word, and a link by e-mail; what each gives, and what nobody gets."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from relance.rules.law.book import RULES, Book
from services.checkout.adapters.documents import Documents
from services.checkout.domain.accounts import person_of_email
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import OrderView, View
from services.checkout.domain.shops import AssertionKey
from tests.integration.checkout.bank_kit import RunningBank
from tests.integration.checkout.pages_kit import (
    CONTACT,
    HOME,
    Browser,
    Hosted,
    hosted,
    one_shop,
    order_as_far_as,
    order_of,
)

ISSUER = "https://lumiere.example.org"
SECRET = "of both sides, and nobody else " * 3
ED, EC, OTHER = Ed25519PrivateKey.generate(), generate_private_key(SECP256R1()), Ed25519PrivateKey.generate()
PAPERS = Documents(Book.load(RULES))
PERSONAL = ("camille@example.org", "Camille", "12 rue des Lilas", "6 12 34")


def pem(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


KEYS = (
    AssertionKey(id="ed", issuer=ISSUER, public_key=pem(ED)),
    AssertionKey(id="ec", issuer=ISSUER, public_key=pem(EC)),
    AssertionKey(id="hs", issuer=ISSUER, secret=SECRET),
)


@pytest.fixture(scope="module")
def pages(bank: RunningBank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    shop = one_shop(lambda shop: replace(shop, assertions=KEYS))
    with hosted(tmp_path_factory.mktemp("accounts"), bank, shop, guesses_max=10_000) as pages:
        yield pages


@pytest.fixture
def browser(pages: Hosted) -> Browser:
    return Browser(pages)


def signed(pages: Hosted, key: Any = ED, algorithm: str = "EdDSA", kid: str | None = "ed", **claims: Any) -> str:
    now = int(time.time())
    said = {
        "iss": ISSUER, "aud": f"{pages.url}/demo", "sub": f"customer-{uuid4().hex[:8]}", "exp": now + 240,
        "jti": uuid4().hex,
    } | claims  # fmt: skip
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode({name: value for name, value in said.items() if value is not None}, key, algorithm, headers)


def enter_as(browser: Browser, view: View, assertion: str) -> str:
    """What the shop's page does: a form to the link, with the assertion in it; where the checkout is."""
    path = browser.hosted.enter(view).removeprefix(browser.hosted.url)
    answer = browser.http.post(path, data={"assertion": assertion}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code in {303, 410}, answer.text
    if answer.status_code == 303:
        browser.go(answer.headers["location"])
    return f"/c/{view.checkout.id}"


def view_of(pages: Hosted, here: str) -> View:
    view = pages.run(pages.desk.view("demo", UUID(here.rpartition("/")[2])))
    assert isinstance(view, View)
    return view


def known_customer(pages: Hosted, email: str) -> str:
    """Somebody who has ordered here as a guest."""
    guest = Browser(pages)
    here = order_as_far_as(guest, "contact")
    guest.go(f"{here}/contact")
    guest.submit(f"{here}/contact", CONTACT | {"email": email})
    for step, fields in (("delivery", HOME), ("payment", {"means": "card", "act": "go"})):
        guest.submit(f"{here}/{step}", fields)
    answer = guest.send(f"{here}/order", {"recap": guest.hidden("recap"), "terms": "yes"})
    assert answer.status_code == 303
    order = view_of(pages, here).order_id
    assert order is not None
    acknowledge(pages, order)
    return str(order)


def acknowledge(pages: Hosted, order_id: UUID) -> None:
    """What follows an order within a minute."""

    async def papers(facts: Any) -> Any:
        return await asyncio.to_thread(lambda: PAPERS.confirmation(facts, PAPERS.accepted_terms(facts)))

    assert pages.run(pages.desk.acknowledge("demo", order_id, papers))


def link_of(pages: Hosted, here: str) -> str:
    """The newest link that was sent for a checkout."""
    return str(pages.messages("account.link", here.rpartition("/")[2])[-1]["facts"]["link"]).removeprefix(pages.url)


def ask(browser: Browser, here: str, email: str) -> str:
    browser.go(f"{here}/contact")
    answer = browser.send(f"{here}/account", {"account_email": email})
    assert answer.status_code == 200, answer.text
    return answer.text


# -- the shop's word --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(ED, "EdDSA", "ed"), (EC, "ES256", "ec"), (SECRET, "HS256", "hs"), (ED, "EdDSA", None)],
    ids=["ed25519", "p-256", "secret", "without a key's name"],
)
def test_the_shops_word_fills_in_who_it_is_and_ticks_nothing(
    pages: Hosted, browser: Browser, key: Any, algorithm: str, kid: str | None
) -> None:
    address = {"name": "Ada Lovelace", "line1": "3 quai de la Fosse", "postcode": "44000", "city": "Nantes"}
    word = signed(
        pages, key, algorithm, kid, sub="ada-7", name="Ada Lovelace", email="ada@example.org", email_verified=True,
        addresses=[address],
    )  # fmt: skip
    here = enter_as(browser, pages.cart("LL-AURORE"), word)
    page = browser.go(f"{here}/contact").text
    assert 'value="ada@example.org"' in page
    assert 'value="Lovelace"' in page
    assert "Ada Lovelace</b>" in page
    assert "checked" not in page
    browser.submit(f"{here}/contact", CONTACT | {"email": "ada@example.org"})
    assert 'value="3 quai de la Fosse"' in browser.page.text
    assert "checked" not in browser.page.text
    assert view_of(pages, here).checkout.context.person_id == "ada-7"


def test_the_person_is_on_the_order(pages: Hosted, browser: Browser) -> None:
    view = pages.cart("LL-AURORE")
    here = enter_as(browser, view, signed(pages, sub="grace-1", given_name="Grace", family_name="Hopper"))
    for step, fields in (("contact", CONTACT), ("delivery", HOME), ("payment", {"means": "card", "act": "go"})):
        browser.go(f"{here}/{step}")
        browser.submit(f"{here}/{step}", fields)
    assert "Grace Hopper</b>" in browser.page.text
    browser.send(f"{here}/order", {"recap": browser.hidden("recap"), "terms": "yes"})
    order_id = view_of(pages, here).order_id
    assert order_id is not None
    order = pages.run(pages.desk.order("demo", order_id))
    assert isinstance(order, OrderView)
    assert order.order.context.person_id == "grace-1"


def test_an_address_that_the_shop_has_not_verified_is_not_filled_in(pages: Hosted, browser: Browser) -> None:
    known_customer(pages, "unverified@example.org")
    word = signed(pages, name="Eve Mallory", email="unverified@example.org", email_verified=False)
    here = enter_as(browser, pages.cart("LL-AURORE"), word)
    page = browser.go(f"{here}/contact").text
    assert "Eve Mallory" in page
    assert "unverified@example.org" not in page
    browser.submit(f"{here}/contact", CONTACT)
    assert "12 rue des Lilas" not in browser.page.text


WRONG: dict[str, dict[str, Any]] = {
    "for other pages": {"aud": "https://elsewhere.example.org/demo"},
    "for another shop": {"aud": "AUD/other"},
    "for a list": {"aud": ["AUD/demo", "https://elsewhere.example.org"]},
    "of another issuer": {"iss": "https://evil.example.org"},
    "expired": {"exp": -5},
    "for too long": {"exp": 400},
    "not yet": {"nbf": 120},
    "without an end": {"exp": None},
    "without an id": {"jti": None},
    "with a short id": {"jti": "1"},
    "about nobody": {"sub": None},
    "about somebody with a line break": {"sub": "a\r\nb"},
    "with a name of two lines": {"name": "Ada\nLovelace"},
    "with an address that is none": {"email": "ada@example.org\r\nBcc: x@example.org"},
}


@pytest.mark.parametrize("wrong", list(WRONG.values()), ids=list(WRONG))
def test_a_word_that_is_not_for_us_now_opens_nothing(pages: Hosted, browser: Browser, wrong: dict[str, Any]) -> None:
    now = int(time.time())
    given = {name: now + value if name in {"exp", "nbf"} and value else value for name, value in wrong.items()}
    if "aud" in given:
        given["aud"] = msg_of(given["aud"], pages.url)
    view = pages.cart("LL-AURORE")
    here = enter_as(browser, view, signed(pages, **given))
    assert not browser.cookie
    assert view_of(pages, here).record.account is None
    assert not view_of(pages, here).checkout.context.person_id


def msg_of(audience: Any, url: str) -> Any:
    return [one.replace("AUD", url) for one in audience] if isinstance(audience, list) else audience.replace("AUD", url)


def test_what_checks_a_signature_follows_from_the_key(pages: Hosted, browser: Browser) -> None:
    view = pages.cart("LL-AURORE")
    header = jwt.utils.base64url_encode(b'{"alg":"none","typ":"JWT","kid":"ed"}').decode()
    body = signed(pages).split(".")[1]
    public = pem(ED).encode()
    inside = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT","kid":"ed"}').decode()
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(f"{inside}.{body}".encode(), public)
    tries = [
        f"{header}.{body}.", f"{inside}.{body}.{jwt.utils.base64url_encode(mac).decode()}",
        signed(pages, OTHER), signed(pages, kid="ec"), signed(pages, SECRET, "HS512", "hs"), "", "a.b.c", "é" * 9_000,
    ]  # fmt: skip
    for word in tries:
        enter_as(browser, view, word)
        assert not browser.cookie
        assert view_of(pages, f"/c/{view.checkout.id}").record.account is None


def test_a_word_counts_once_and_the_link_goes_with_it(pages: Hosted, browser: Browser) -> None:
    view, word = pages.cart("LL-AURORE"), signed(pages)
    path = pages.enter(view).removeprefix(pages.url)
    assert browser.http.post(path, data={"assertion": word}).status_code == 303
    assert browser.http.post(path, data={"assertion": word}).status_code == 410
    again = Browser(pages)
    enter_as(again, pages.cart("LL-AURORE"), word)
    assert not again.cookie


def test_a_key_that_checks_nothing_is_refused_with_its_name(pages: Hosted) -> None:
    wrong = {
        "assertions.a.secret": AssertionKey(id="a", issuer=ISSUER, secret="short"),
        "assertions.a": AssertionKey(id="a", issuer=ISSUER, secret=SECRET, public_key=pem(ED)),
        "assertions.a.public_key": AssertionKey(id="a", issuer=ISSUER, public_key="no key"),
    }
    for field, key in wrong.items():
        refused = pages.run(pages.desk.put_shop(replace(one_shop(), assertions=(key,))))
        assert isinstance(refused, Refusal)
        assert refused.field == field


# -- by e-mail --------------------------------------------------------------------------------------------------------


def test_a_link_by_mail_fills_in_what_was_given_before_and_ticks_nothing(pages: Hosted, browser: Browser) -> None:
    known_customer(pages, "back@example.org")
    here = order_as_far_as(browser, "contact")
    ask(browser, here, " Back@example.org")
    link = link_of(pages, here)
    before = browser.cookie
    assert "Me connecter" in browser.go(link).text
    assert "camille" not in browser.page.text.lower()
    browser.submit(link, {})
    assert browser.url == f"{here}/contact"
    page = browser.page.text
    assert browser.cookie != before
    assert 'value="Back@example.org"' in page
    assert 'value="Camille"' in page
    assert "est pas vous" in page
    assert "checked" not in page
    browser.submit(f"{here}/contact", CONTACT | {"email": "back@example.org"})
    assert 'value="12 rue des Lilas"' in browser.page.text
    assert "checked" not in browser.page.text
    assert view_of(pages, here).checkout.context.person_id == person_of_email("back@example.org")


def test_looking_at_the_link_uses_nothing_up_and_using_it_does(pages: Hosted, browser: Browser) -> None:
    known_customer(pages, "once@example.org")
    here = order_as_far_as(browser, "contact")
    ask(browser, here, "once@example.org")
    link = link_of(pages, here)
    scanner = Browser(pages)
    for _ in range(3):
        assert scanner.go(link).status_code == 403
        assert scanner.send(link, {"csrf": "guessed"}).status_code == 403
    browser.go(link)
    assert browser.send(link, {"csrf": "guessed"}).status_code == 403
    assert browser.submit(link, {}).status_code == 200
    assert "Connecté en tant que" in browser.page.text
    assert browser.go(link).status_code == 410


def test_the_answer_is_the_same_for_an_address_that_nobody_knows(pages: Hosted, browser: Browser) -> None:
    known_customer(pages, "known@example.org")
    here = order_as_far_as(browser, "contact")
    one, other = (
        ask(browser, here, email).replace(email, "…") for email in ("known@example.org", "nobody@example.org")
    )
    assert one == other
    assert len(pages.messages("account.link", here.rpartition("/")[2])) == 1


def test_only_so_many_links_are_sent(pages: Hosted) -> None:
    known_customer(pages, "many@example.org")
    sent = 0
    for _ in range(3):
        browser = Browser(pages)
        here = order_as_far_as(browser, "contact")
        for _ in range(4):
            ask(browser, here, "many@example.org")
        sent += len(pages.messages("account.link", here.rpartition("/")[2]))
    assert sent == pages.desk.terms.code_tries


def test_only_the_newest_link_holds_and_only_for_a_while(pages: Hosted, browser: Browser) -> None:
    known_customer(pages, "newest@example.org")
    here = order_as_far_as(browser, "contact")
    ask(browser, here, "newest@example.org")
    old = link_of(pages, here)
    ask(browser, here, "newest@example.org")
    assert browser.go(old).status_code == 410
    facts = pages.messages("account.link", here.rpartition("/")[2])[-1]["facts"]
    assert 15 <= facts["minutes"] <= 30


def test_who_knew_the_session_before_sees_nothing_after(pages: Hosted, browser: Browser) -> None:
    known_customer(pages, "fixed@example.org")
    here = order_as_far_as(browser, "contact")
    spy = Browser(pages)
    spy.cookie = browser.cookie
    ask(browser, here, "fixed@example.org")
    link = link_of(pages, here)
    browser.go(link)
    browser.submit(link, {})
    for step in ("cart", "contact", "delivery"):
        page = spy.go(f"{here}/{step}")
        assert page.status_code == 404
        assert not any(word in page.text for word in PERSONAL)


def test_not_you_goes_on_with_the_same_cart_and_with_nothing_of_the_person(pages: Hosted, browser: Browser) -> None:
    word = signed(pages, sub="not-me", name="Ada Lovelace", email="ada@example.org", email_verified=True)
    here = enter_as(browser, pages.cart("LL-AURORE", "LL-AURORE"), word)
    browser.go(f"{here}/contact")
    browser.submit(f"{here}/contact", CONTACT)
    browser.go(f"{here}/contact")
    cookie = browser.cookie
    browser.submit(f"{here}/signout", {})
    assert browser.url.endswith("/contact")
    after = browser.url.removesuffix("/contact")
    assert after != here
    assert not any(word in browser.page.text for word in ("Ada", "ada@example.org", *PERSONAL))
    view = view_of(pages, after)
    assert {line.sku: line.quantity for line in view.record.lines} == {"LL-AURORE": 2}
    assert not view.checkout.context.person_id
    browser.cookie = cookie
    assert "ada@example.org" not in browser.go(f"{here}/contact").text


def test_signing_out_needs_the_page_it_stands_on(pages: Hosted, browser: Browser) -> None:
    here = enter_as(browser, pages.cart("LL-AURORE"), signed(pages, name="Ada Lovelace"))
    browser.go(f"{here}/contact")
    assert browser.send(f"{here}/signout", {"csrf": "x"}).status_code == 403
    assert browser.send(f"{here}/account", {"csrf": "x"}).status_code == 403
    assert view_of(pages, here).record.account is not None


def test_a_restored_cart_shows_nothing_of_who_was_signed_in(pages: Hosted, browser: Browser) -> None:
    word = signed(pages, name="Ada Lovelace", email="ada@example.org", email_verified=True)
    here = enter_as(browser, pages.cart("LL-AMPOULE"), word)
    token = pages.run(pages.desk.issue("demo", "cart.restore", here.rpartition("/")[2]))
    stranger = Browser(pages)
    stranger.go(f"/r/{token}")
    stranger.submit(f"/r/{token}", {})
    assert stranger.url.endswith("/cart")
    assert not stranger.url.startswith(here)
    for step in ("cart", "contact"):
        page = stranger.go(stranger.url.rpartition("/")[0] + f"/{step}").text
        assert "Ada" not in page
        assert "ada@example.org" not in page


def test_a_guest_is_asked_for_nothing(pages: Hosted, browser: Browser) -> None:
    order_id = order_of(browser)
    order = pages.run(pages.desk.order("demo", UUID(order_id)))
    assert isinstance(order, OrderView)
    assert order.record.account is None
    assert 'type="password"' not in browser.page.text
