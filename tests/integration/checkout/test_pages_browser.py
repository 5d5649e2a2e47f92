"""The tunnel in a real Chromium: on a phone and a desk, without JavaScript, by keyboard alone, and under axe-core."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, ViewportSize, sync_playwright

from tests.integration.checkout.bank_kit import RunningBank
from tests.integration.checkout.pages_kit import CONTACT, Hosted, hosted

pytestmark = pytest.mark.browser

PHONE: Final[ViewportSize] = {"width": 360, "height": 740}
DESK: Final[ViewportSize] = {"width": 1280, "height": 900}
AXE_VERSION: Final = "4.14.1"
AXE_SHA256: Final = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FETCHED: Final = Path(__file__).parents[3] / "build" / "browser"


@pytest.fixture(scope="module")
def pages(bank: RunningBank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    with hosted(tmp_path_factory.mktemp("pages"), bank) as pages:
        yield pages


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")  # else the one that Playwright installed
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, fetched once and known by its hash."""
    source = FETCHED / "node_modules" / "axe-core" / "axe.min.js"
    if not source.exists():
        FETCHED.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(FETCHED)]
        subprocess.run([*command, f"axe-core@{AXE_VERSION}"], check=True, timeout=120, capture_output=True)
    text = source.read_bytes()
    assert hashlib.sha256(text).hexdigest() == AXE_SHA256
    return text.decode()


@pytest.fixture
def context(chromium: Browser, pages: Hosted, bank: RunningBank) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a browser. It may ask nobody but the pages and the bank, and no page may see a fault."""
    made: list[BrowserContext] = []
    faults: list[str] = []

    def new(**options: Any) -> BrowserContext:
        context = chromium.new_context(locale="fr-FR", **options)
        made.append(context)

        def asked(request: Request) -> None:
            if not request.url.startswith((pages.url, bank.url, "data:")):
                faults.append(f"asked {request.url}")

        context.on("request", asked)
        context.on("weberror", lambda error: faults.append(str(error.error)))
        context.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
        return context

    yield new
    for one in made:
        one.close()
    assert not faults


def check(page: Page, axe: str, where: str) -> None:
    """No violation, and nothing wider than the screen."""
    found = page.evaluate(f"{axe}; axe.run({{runOnly: {{type: 'tag', values: {RULES}}}}})")
    said = [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found["violations"]]
    assert not said, f"{where}: {said}"
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{where} is {wider} pixels wider than the screen"


def fill_contact(page: Page) -> None:
    for name, value in CONTACT.items():
        page.fill(f"#{name}", value)


def pay(page: Page, bank: RunningBank, number: str) -> None:
    page.wait_for_url(f"{bank.url}/**")
    for name, value in (("number", number), ("expiry", "12/60"), ("code", "123")):
        page.fill(f"input[name={name}]", value)
    page.locator("button").first.click()
    page.wait_for_load_state()


def goods(page: Page) -> None:
    """From the contact to the recap."""
    fill_contact(page)
    page.get_by_role("button", name="Continuer : livraison").click()
    page.check("input[value=home]")
    for name, value in (("line1", "12 rue des Lilas"), ("postcode", "44000"), ("city", "Nantes")):
        page.fill(f"#{name}", value)
    page.get_by_role("button", name="Continuer : paiement").click()
    page.check("input[value=card]")
    page.get_by_role("button", name="Continuer : le récapitulatif").click()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_every_page_of_the_tunnel_passes_axe(
    context: Callable[..., BrowserContext], pages: Hosted, bank: RunningBank, axe: str, size: ViewportSize
) -> None:
    page = context(viewport=size, bypass_csp=True).new_page()  # axe is put in beside the policy of the page
    page.goto(pages.enter(pages.cart("LL-AURORE", "LL-AURORE", "FILM-ECLAIRER", "LIVRE-LUMIERE")))
    check(page, axe, "cart")
    page.fill("#coupon", "RIEN")
    page.get_by_role("button", name="Appliquer").click()
    check(page, axe, "cart with an error")
    page.get_by_role("link", name="Continuer : vos coordonnées").click()
    check(page, axe, "contact")
    page.get_by_role("button", name="Continuer : livraison").click()
    check(page, axe, "contact with errors")
    fill_contact(page)
    page.get_by_role("button", name="Continuer : livraison").click()
    check(page, axe, "delivery")
    page.check("input[value=relay]")
    page.fill("#near", "44000")
    page.get_by_role("button", name="Chercher").click()
    check(page, axe, "relay points")
    page.check("input[value=home]")
    page.get_by_role("button", name="Continuer : paiement").click()
    check(page, axe, "delivery with errors")
    for name, value in (("line1", "12 rue des Lilas"), ("postcode", "44000"), ("city", "Nantes")):
        page.fill(f"#{name}", value)
    page.get_by_role("button", name="Continuer : paiement").click()
    check(page, axe, "payment")
    page.check("input[value=card]")
    page.get_by_role("button", name="Continuer : le récapitulatif").click()
    check(page, axe, "recap")
    page.get_by_role("button", name="Commander avec obligation de paiement").click()
    check(page, axe, "recap with an error")
    page.check("#terms")
    page.get_by_role("button", name="Commander avec obligation de paiement").click()
    page.wait_for_url(f"{bank.url}/**")
    order = pages.run(pages.desk.orders("demo", limit=100))[-1].order
    page.goto(f"{pages.url}/o/{order.id}/thanks")
    check(page, axe, "acknowledgement")
    page.goto(f"{pages.url}/o/{order.id}")
    check(page, axe, "order")


def test_links_and_errors_pass_axe(
    context: Callable[..., BrowserContext], pages: Hosted, bank: RunningBank, axe: str
) -> None:
    shopper = context(viewport=PHONE, java_script_enabled=False).new_page()
    shopper.goto(pages.enter(pages.cart()))
    shopper.get_by_role("link", name="Continuer : vos coordonnées").click()
    goods(shopper)
    shopper.check("#terms")
    shopper.get_by_role("button", name="Commander avec obligation de paiement").click()
    shopper.wait_for_url(f"{bank.url}/**")
    shopper.goto(pages.url + "/r/none")
    order_id = str(pages.run(pages.desk.orders("demo", limit=100))[-1].order.id)
    page = context(viewport=PHONE, bypass_csp=True).new_page()
    page.goto(f"{pages.url}/p/{pages.run(pages.desk.issue('demo', 'order.pay', order_id))}")
    check(page, axe, "pay link")
    page.goto(f"{pages.url}/v/{pages.run(pages.desk.issue('demo', 'order.view', order_id))}")
    check(page, axe, "view link")
    page.get_by_role("button", name="M\u2019envoyer le code").click()
    check(page, axe, "code")
    saved = pages.cart("LL-AMPOULE")
    page.goto(pages.enter(pages.cart("LL-AURORE")))
    page.goto(f"{pages.url}/r/{pages.run(pages.desk.issue('demo', 'cart.restore', str(saved.checkout.id)))}")
    check(page, axe, "restore")
    page.get_by_role("button", name="Reprendre ce panier").click()
    check(page, axe, "restore with an error")
    for path in ("/r/none", "/o/none", "/c/none/cart"):
        page.goto(pages.url + path)
        check(page, axe, path)


def test_a_phone_without_javascript_orders_and_pays(
    context: Callable[..., BrowserContext], pages: Hosted, bank: RunningBank
) -> None:
    page = context(viewport=PHONE, java_script_enabled=False).new_page()
    page.goto(pages.enter(pages.cart("LL-AURORE")))
    page.get_by_role("link", name="Continuer : vos coordonnées").click()
    goods(page)
    page.check("#terms")
    page.get_by_role("button", name="Commander avec obligation de paiement").click()
    pay(page, bank, "4242424242424242")
    page.wait_for_url(f"{pages.url}/o/*/thanks")
    assert page.get_by_role("heading", level=1).inner_text() == "Merci, votre commande est enregistrée"


def test_a_shopper_orders_by_keyboard_alone(
    context: Callable[..., BrowserContext], pages: Hosted, bank: RunningBank
) -> None:
    page = context(viewport=DESK).new_page()
    page.goto(pages.enter(pages.cart("LL-AURORE")))
    page.keyboard.press("Tab")
    assert focused(page) == "Aller au contenu"
    tab_to(page, "Continuer : vos coordonnées")
    page.keyboard.press("Enter")
    page.wait_for_url("**/contact")
    for name, value in CONTACT.items():
        tab_to(page, name)
        page.keyboard.type(value)
    page.keyboard.press("Enter")
    page.wait_for_url("**/delivery")
    tab_to(page, "mode")
    page.keyboard.press("Space")
    for name, value in (("line1", "12 rue des Lilas"), ("postcode", "44000"), ("city", "Nantes")):
        tab_to(page, name)
        page.keyboard.type(value)
    page.keyboard.press("Enter")
    page.wait_for_url("**/payment")
    tab_to(page, "means")
    page.keyboard.press("Space")
    tab_to(page, "Continuer : le récapitulatif")
    page.keyboard.press("Enter")
    page.wait_for_url("**/recap")
    tab_to(page, "terms")
    page.keyboard.press("Space")
    tab_to(page, "Commander avec obligation de paiement")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{bank.url}/**")


def test_the_first_error_gets_the_focus_and_leads_to_its_field(
    context: Callable[..., BrowserContext], pages: Hosted
) -> None:
    page = context(viewport=PHONE).new_page()
    page.goto(pages.enter(pages.cart("LL-AURORE")))
    page.get_by_role("link", name="Continuer : vos coordonnées").click()
    page.get_by_role("button", name="Continuer : livraison").click()
    assert page.evaluate("document.activeElement.id") == "errors"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "email"


def test_targets_are_large_enough_for_a_thumb(context: Callable[..., BrowserContext], pages: Hosted) -> None:
    page = context(viewport=PHONE, java_script_enabled=True).new_page()
    page.goto(pages.enter(pages.cart("LL-AURORE")))
    for step in ("cart", "contact"):
        page.goto(page.url.rpartition("/")[0] + f"/{step}")
        small = page.evaluate(
            """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), summary")]
                .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect(), one.className,
                               one.closest("label")?.getBoundingClientRect()])
                .filter(([, box, name, label]) => name !== "skip" && box.width && (label ?? box).height < 24)
                .map(([html]) => html)"""
        )
        assert not small


def focused(page: Page) -> str:
    """The name or the words of what has the focus."""
    said = page.evaluate(
        "((one) => (one.tagName === 'INPUT' ? one.name : one.innerText || '').trim())(document.activeElement)"
    )
    return str(said).split("\n")[0].replace("\u00a0", " ").replace("\u202f", " ")


def tab_to(page: Page, wanted: str) -> None:
    for _ in range(80):
        if focused(page) == wanted:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} is not reached by the keyboard")
