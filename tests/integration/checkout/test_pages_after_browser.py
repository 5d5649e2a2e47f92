"""The pages of what follows an order in a real Chromium: under axe-core, on a phone, without JavaScript or mouse."""

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from tests.integration.checkout.after_pages_kit import (
    after,
    arrived,
    bought,
    later,
    shop_with_subscriptions,
    subscriptions,
)
from tests.integration.checkout.bank_kit import RunningBank
from tests.integration.checkout.chromium_kit import DESK, PHONE, axe, check, launched, looking
from tests.integration.checkout.owing_kit import works
from tests.integration.checkout.pages_kit import Browser, Hosted, hosted
from tests.integration.checkout.test_pages_browser import focused, tab_to

__all__ = ["axe"]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(bank: RunningBank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    shop = shop_with_subscriptions()
    with hosted(tmp_path_factory.mktemp("pages"), bank, shop, guesses_max=10_000) as pages:
        subscriptions(pages)
        yield pages


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with launched() as chromium:
        yield chromium


def withdrawal(pages: Hosted, order_id: UUID) -> str:
    return f"{pages.url}/w/{pages.run(pages.desk.issue('demo', 'withdrawal', str(order_id)))}"


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()
    page.wait_for_load_state()


@pytest.mark.parametrize(("locale", "size"), [("fr", PHONE), ("en", DESK)], ids=["phone", "desk"])
def test_every_page_after_the_order_passes_axe(
    pages: Hosted, chromium: Chromium, axe: str, locale: str, size: dict[str, int]
) -> None:
    owner = Browser(pages)
    order_id = bought(owner, "LL-AURORE", "LL-AURORE", "LIVRE-LUMIERE", "REVUE", locale=locale)
    confirm, check_it = ("confirmer la rétractation", "Continuer : vérifier") if locale == "fr" else (
        "confirm withdrawal", "Continue: check it"
    )  # fmt: skip
    with looking(chromium, locale=f"{locale}-{locale.upper()}", size=size) as page:  # type: ignore[arg-type]
        url = withdrawal(pages, order_id)
        page.goto(url)
        check(page, axe, "withdrawal")
        press(page, confirm)
        check(page, axe, "withdrawal with an error")
        page.fill("#name", "Camille Martin")
        page.select_option("select", "1")
        page.uncheck("input[name='units.2']")  # the subscription goes on
        press(page, confirm)
        assert "/withdraw/" in page.url
        check(page, axe, "receipt")
        for path in ("withdraw", "terminate", "find"):
            page.goto(f"{pages.url}/{path}/demo?lang={locale}")
            check(page, axe, path)
            page.locator("main button").last.click()
            page.wait_for_load_state()
            check(page, axe, f"{path} with errors")
        arrived_later(pages, page, owner, order_id)
        for path in ("", "/withdraw", "/delivery", "/claim"):
            page.goto(f"{pages.url}/o/{order_id}{path}")
            check(page, axe, f"order{path}")
        press(page, "Envoyer la demande" if locale == "fr" else "Send the claim")
        check(page, axe, "claim with errors")
        (contract,) = after(pages, order_id).contracts
        page.goto(f"{pages.url}/o/{order_id}/terminate/{contract.id}")
        page.fill("#name", "Camille Martin")
        press(page, check_it)
        check(page, axe, "termination, recap")


def arrived_later(pages: Hosted, page: Page, owner: Browser, order_id: UUID) -> None:
    """The goods come; the browser goes on with the session of whom ordered."""
    arrived(pages, order_id)
    page.context.set_extra_http_headers({"cookie": owner.cookie})


def test_the_page_of_lateness_passes_axe(
    bank: RunningBank, chromium: Chromium, axe: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with hosted(tmp_path_factory.mktemp("late"), bank) as pages, looking(chromium) as page:
        order_id = bought(Browser(pages))
        pages.desk.clock = later(40)
        token = pages.run(pages.desk.issue("demo", "order.view", str(order_id)))
        page.goto(f"{pages.url}/v/{token}/delivery")
        check(page, axe, "late delivery")
        press(page, "Donner ce délai")
        check(page, axe, "extra time given")
        assert "Délai supplémentaire jusqu" in page.inner_text("main")


def test_a_phone_without_javascript_withdraws_from_the_order_in_two_controls(
    pages: Hosted, chromium: Chromium
) -> None:  # fmt: skip
    owner = Browser(pages)
    order_id = bought(owner, "LL-AURORE", "LIVRE-LUMIERE")
    token = pages.run(pages.desk.issue("demo", "order.view", str(order_id)))
    with looking(chromium, script=False) as page:
        page.goto(f"{pages.url}/v/{token}")
        page.locator("main").get_by_role("link", name="renoncer au contrat ici").click()
        page.uncheck("input[name='units.0']")
        page.fill("#name", "Camille Martin")
        press(page, "confirmer la rétractation")
        assert page.get_by_role("heading", level=1).inner_text() == "Votre rétractation est envoyée"
    (statement,) = after(pages, order_id).after.statements
    assert statement.units == {"2": 1}


def test_who_withdraws_needs_no_mouse(pages: Hosted, chromium: Chromium) -> None:
    order_id = bought(Browser(pages), "LL-AURORE", "LIVRE-LUMIERE")
    with looking(chromium, size=DESK) as page:
        page.goto(withdrawal(pages, order_id))
        tab_to(page, "units.1")
        page.keyboard.press("Space")
        tab_to(page, "confirmer la rétractation")
        page.keyboard.press("Enter")
        page.wait_for_load_state()
        page.wait_for_function("document.activeElement.id == 'errors'")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert focused(page) == "name"
        page.keyboard.type("Camille Martin")
        page.keyboard.press("Enter")
        page.wait_for_url("**/withdraw/*")
    (statement,) = after(pages, order_id).after.statements
    assert statement.units == {"1": 1}


def test_targets_of_these_pages_are_large_enough_for_a_thumb(pages: Hosted, chromium: Chromium) -> None:
    order_id = bought(Browser(pages), "LL-AURORE", "LIVRE-LUMIERE")
    with looking(chromium) as page:
        for url in (withdrawal(pages, order_id), f"{pages.url}/withdraw/demo", f"{pages.url}/terminate/demo"):
            page.goto(url)
            small = page.evaluate(
                """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, summary")]
                    .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect(), one.className,
                                   one.closest("label")?.getBoundingClientRect()])
                    .filter(([, box, name, label]) => name !== "skip" && box.width && (label ?? box).height < 24)
                    .map(([html]) => html)"""
            )
            assert not small


Family = Callable[[Hosted, Browser, Page], None]


def typed(page: Page, *answers: tuple[str, str]) -> None:
    """Answer the fields that are named; `area` and `select` are reached like others, and choices by the space bar."""
    for name, text in answers:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.name") == name:
                break
        else:
            pytest.fail(f"{name} is not reached by the keyboard")
        page.keyboard.type(text) if text != " " else page.keyboard.press("Space")


def entered(page: Page, words: str) -> None:
    """Reach a control by its words, and press it."""
    tab_to(page, words)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def ends_a_contract(pages: Hosted, owner: Browser, page: Page) -> None:
    order_id = bought(owner, "REVUE")
    (contract,) = after(pages, order_id).contracts
    page.goto(f"{pages.url}/terminate/demo?lang=fr")
    typed(page, ("name", "Camille Martin"), ("email", "camille@example.org"), ("reference", contract.number))
    entered(page, "Continuer : vérifier")
    entered(page, "notification de la résiliation")
    assert page.get_by_role("heading", level=1).inner_text() == "Votre résiliation est notifiée"
    pages.run(works(pages.desk))
    assert after(pages, order_id).contracts[0].termination is not None


def states_it_in_words(pages: Hosted, owner: Browser, page: Page) -> None:
    order_id = bought(owner)
    page.goto(f"{pages.url}/withdraw/demo?lang=fr")
    number = str(order_id)[:8]
    typed(page, ("name", "Camille Martin"), ("reference", number), ("email", "camille@example.org"))
    entered(page, "confirmer la rétractation")
    assert page.get_by_role("heading", level=1).inner_text() == "Votre rétractation est envoyée"
    pages.run(works(pages.desk))
    assert len(after(pages, order_id).after.statements) == 1


def claims_an_article(pages: Hosted, owner: Browser, page: Page) -> None:
    order_id = bought(owner)
    arrived(pages, order_id)
    page.context.set_extra_http_headers({"cookie": owner.cookie})
    page.goto(f"{pages.url}/o/{order_id}/claim")
    typed(page, ("fault", "elle clignote"), ("asked", " "))
    entered(page, "Envoyer la demande")
    assert [one.asked for one in after(pages, order_id).after.claims] == ["repair"]


def ends_what_is_late(pages: Hosted, owner: Browser, page: Page) -> None:
    order_id = bought(owner)
    real = pages.desk.clock
    token = pages.run(pages.desk.issue("demo", "order.view", str(order_id)))
    try:
        for days, words in ((40, "Donner ce délai"), (60, "Mettre fin au contrat pour ce qui n\u2019est pas arrivé")):
            pages.desk.clock = later(days)
            page.goto(f"{pages.url}/v/{token}/delivery")
            entered(page, words)
    finally:
        pages.desk.clock = real
    assert [one.resolved for one in after(pages, order_id).after.resolutions] == [True]


def finds_an_order(pages: Hosted, owner: Browser, page: Page) -> None:
    order_id = bought(owner)
    page.goto(f"{pages.url}/find/demo?lang=fr")
    typed(page, ("number", str(order_id)[:8]), ("email", "camille@example.org"))
    entered(page, "M\u2019envoyer le lien")
    (letter,) = pages.messages("order.link", str(order_id))
    page.goto(str(letter["facts"]["link"]))
    entered(page, "renoncer au contrat ici")
    assert page.locator("input[name=name]").is_visible()


@pytest.mark.parametrize(
    "family", [ends_a_contract, states_it_in_words, claims_an_article, ends_what_is_late, finds_an_order]
)
def test_each_right_is_used_on_a_phone_by_keyboard_and_without_javascript(
    pages: Hosted, chromium: Chromium, family: Family
) -> None:  # fmt: skip
    with looking(chromium, script=False) as page:
        family(pages, Browser(pages), page)


def every_page(pages: Hosted) -> tuple[Browser, list[str]]:
    """An order with all that can follow it, and the addresses of the pages that show it."""
    owner = Browser(pages)
    order_id = bought(owner, "LL-AURORE", "LL-AURORE", "LIVRE-LUMIERE", "REVUE")
    arrived(pages, order_id)
    here = f"/o/{order_id}"
    owner.go(f"{here}/withdraw")
    stated = owner.send(f"{here}/withdraw", {"nonce": "n", "units.0": "1", "name": "C. Martin"})
    pages.run(works(pages.desk))
    (contract,) = after(pages, order_id).contracts
    token = pages.run(pages.desk.issue("demo", "order.view", str(order_id)))
    paths = [here, f"{here}/withdraw", f"{here}/delivery", f"{here}/claim", f"{here}/terminate/{contract.id}",
             stated.headers["location"], f"/v/{token}", withdrawal(pages, order_id).removeprefix(pages.url),
             "/withdraw/demo", "/terminate/demo", "/find/demo", "/v/nothing"]  # fmt: skip
    return owner, paths


def test_every_page_holds_in_the_dark_on_a_narrow_screen_in_print_and_without_colours(
    pages: Hosted, chromium: Chromium, axe: str
) -> None:  # fmt: skip
    owner, paths = every_page(pages)
    asked: list[str] = []
    with looking(chromium, size={"width": 320, "height": 640}) as page:
        page.context.set_extra_http_headers({"cookie": owner.cookie})
        page.on("request", lambda request: asked.append(request.url))
        for path in paths:
            page.emulate_media(color_scheme="dark", reduced_motion="reduce", media="screen", forced_colors="none")
            page.goto(f"{pages.url}{path}")
            check(page, axe, f"{path} in the dark")  # as wide as 1280 pixels at 400 %
            assert page.title()
            assert page.evaluate("document.documentElement.lang") == "fr"
            moving = (
                "[...document.querySelectorAll('*')].filter((one) => getComputedStyle(one).transitionDuration != '0s')"
            )
            assert page.evaluate(f"{moving}.length") == 0, path
            page.emulate_media(forced_colors="active", color_scheme="light")
            wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider <= 0, f"{path} with larger letters or no colours"
            page.emulate_media(media="print", forced_colors="none")
            assert page.locator("h1").is_visible(), path
            assert page.locator(".brand").is_visible(), path
            assert page.locator("main .button").count() == page.locator("main .button:not(:visible)").count(), path
    assert all(url.startswith((pages.url, "data:")) for url in asked), "nobody else is asked for anything"
