"""The tunnel over HTTP as a browser without JavaScript goes through it: what each page shows, and what it refuses."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from services.checkout.domain.offers import Price
from services.checkout.domain.presenting import OrderView, View
from services.checkout.domain.shops import Shop
from tests.integration.checkout.bank_kit import RunningBank
from tests.integration.checkout.pages_kit import CONTACT, HOME, Browser, Hosted, hosted, one_shop, order_as_far_as

STEPS = ("cart", "contact", "delivery", "payment", "recap")
PAID = "4242424242424242"


@pytest.fixture(scope="module")
def pages(bank: RunningBank, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    with hosted(tmp_path_factory.mktemp("pages"), bank) as pages:
        yield pages


@pytest.fixture
def browser(pages: Hosted) -> Browser:
    return Browser(pages)


def press(browser: Browser, here: str, **ticks: str) -> str:
    """The click; returns where it leads."""
    recap = browser.hidden("recap")
    answer = browser.send(f"{here}/order", {"recap": recap, "terms": "yes"} | ticks)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def view_of(pages: Hosted, here: str) -> View:
    view = pages.run(pages.desk.view("demo", UUID(here.rpartition("/")[2])))
    assert isinstance(view, View)
    return view


def test_a_shopper_goes_from_the_cart_to_a_paid_order(pages: Hosted, browser: Browser, bank: RunningBank) -> None:
    here = order_as_far_as(browser, "recap")
    answer = bank.pay(press(browser, here), PAID)
    browser.go(answer.headers["location"])

    assert browser.url.endswith("/thanks")
    assert "Merci, votre commande est enregistrée" in browser.page.text
    order_id = browser.url.split("/")[2]
    order = pages.run(pages.desk.order("demo", UUID(order_id)))
    assert isinstance(order, OrderView)
    assert order.order.state == "confirmed"
    assert "Elle est payée" in browser.go(f"/o/{order_id}").text


def test_every_page_tells_step_sum_and_help_and_is_light_and_asks_nobody_else(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "recap", "LL-AURORE", "FILM-ECLAIRER")
    linked = 0
    for place, step in enumerate(STEPS, 1):
        page = browser.go(f"{here}/{step}").text
        assert f"Étape {place} sur 6" in page
        assert "138,90\u00a0€" in page or "134,00\u00a0€" in page, step
        assert "+33 2 40 00 00 00" in page
        assert "du lundi au vendredi" in page
        assets = re.findall(r'<(?:link rel="stylesheet" href|script src|img src)="([^"]+)"', page)
        assert all(one.startswith("/static/") for one in assets)
        linked = sum(len(browser.http.get(one).content) for one in assets)
        assert len(page.encode()) + linked < 100_000
    assert linked


def test_the_first_page_announces_means_delivery_restrictions_and_steps(browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    page = browser.go(f"{here}/cart").text
    for words in ("Carte bancaire", "Carte cadeau", "Virement bancaire", "Nous livrons en : France", "Récapitulatif"):
        assert words.replace(" :", "\u00a0:") in page
    assert "prévue le" in page
    assert "gratuite" in page  # collected at the workshop
    assert "20, 97, 98" in page


def test_means_announced_are_means_offered(browser: Browser) -> None:
    here = order_as_far_as(browser, "payment")
    announced = set(re.findall(r"<li><b>([^<]+)</b>", browser.go(f"{here}/cart").text))
    offered = set(re.findall(r'name="means"[^>]*>\s*<b>([^<]+)</b>', browser.go(f"{here}/payment").text))
    assert announced == offered | {"Carte cadeau"}
    assert "Carte cadeau" in browser.page.text


def test_boxes_are_unticked_and_the_prescribed_text_stands_at_the_phone(browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    page = browser.go(f"{here}/contact").text
    assert not re.search(r'type="checkbox"[^>]*checked', page)
    assert page.count('type="checkbox"') == 3
    assert "Toute sollicitation téléphonique à des fins commerciales suppose votre consentement préalable" in page
    assert "Votre adresse sert à traiter cette commande" in page
    assert "Aucun compte" in page


def test_what_was_ticked_is_kept_with_version_and_hash(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    browser.go(f"{here}/contact")
    browser.submit(f"{here}/contact", CONTACT | {"consent.0": "yes", "objected": "yes"})
    given = view_of(pages, here).checkout.contact
    assert given is not None
    assert given.objected is True
    assert given.objection_text_version == "2"
    assert [(one.channel, one.granted, one.text_version, len(one.proof)) for one in given.consents] == [
        ("email", True, "3", 64), ("sms", False, "1", 64),
    ]  # fmt: skip


def test_an_order_passes_with_every_box_empty(browser: Browser) -> None:
    here = order_as_far_as(browser, "recap")
    assert press(browser, here).startswith("http://127.0.0.1")


def test_each_block_is_modified_without_losing_what_was_entered(browser: Browser) -> None:
    here = order_as_far_as(browser, "recap")
    for block, kept in (("contact", "camille@example.org"), ("delivery", "12 rue des Lilas"), ("payment", "card")):
        assert f'href="{here}/{block}"' in browser.go(f"{here}/recap").text
        assert kept in browser.go(f"{here}/{block}").text
    browser.go(f"{here}/contact")
    browser.submit(f"{here}/contact", CONTACT | {"first_name": "Claude"})
    assert browser.url == f"{here}/recap"
    assert "Claude Martin" in browser.page.text


def test_the_button_has_the_lawful_words_only_and_follows_the_sum(browser: Browser) -> None:
    order_as_far_as(browser, "recap")
    page = browser.page.text
    after = page[page.index('class="total"') : page.index("</form>", page.index('class="total"'))]
    button = re.findall(r"<button[^>]*>(.*?)</button>", after, re.DOTALL)
    assert button == ["Commander avec obligation de paiement"]
    assert "<input" not in after
    assert "<a " not in after


def test_terms_are_unticked_and_their_pdf_is_at_hand(browser: Browser) -> None:
    here = order_as_far_as(browser, "recap")
    page = browser.page.text
    assert not re.search(r'id="terms"[^>]*checked', page)
    pdf = re.search(r'href="(/legal/demo/terms\.pdf[^"]*)"', page)
    assert pdf
    assert browser.http.get(pdf[1]).content.startswith(b"%PDF-")
    refused = browser.send(f"{here}/order", {"recap": browser.hidden("recap")})
    assert refused.status_code == 422
    assert "cochez la case des conditions de vente" in refused.text
    assert 'href="#terms"' in refused.text


def test_digital_content_takes_two_acts(browser: Browser) -> None:
    here = order_as_far_as(browser, "recap", "FILM-ECLAIRER")
    assert "Je demande l&#39;exécution immédiate" in browser.page.text
    fields = {"recap": browser.hidden("recap"), "terms": "yes", "early_start": "yes"}
    half = browser.send(f"{here}/order", fields)
    assert half.status_code == 422
    assert "cochez les deux cases" in half.text
    assert browser.send(f"{here}/order", fields | {"loss_acknowledged": "yes"}).status_code == 303


def test_a_cart_without_goods_has_no_delivery(browser: Browser) -> None:
    here = order_as_far_as(browser, "recap", "FILM-ECLAIRER")
    assert "Étape 4 sur 5" in browser.page.text
    assert browser.go(f"{here}/delivery").status_code == 200
    assert browser.url == f"{here}/payment"


def test_a_step_waits_for_those_before_it(browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    for step in ("delivery", "payment", "recap"):
        browser.go(f"{here}/{step}")
        assert browser.url == f"{here}/contact"


def priced(pages: Hosted, minor: int) -> None:
    """The bulbs cost so much from the next instant on: prices are never changed for the past."""
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    price = Price(id=f"p{uuid4()}", since=soon, price_minor=minor)
    assert pages.run(pages.desk.put_prices("demo", "LL-AMPOULE", [price])) is None
    time.sleep(0.4)


def test_a_price_that_changed_shows_the_recap_again_and_marks_it(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "recap", "LL-AMPOULE")
    recap = browser.hidden("recap")
    try:
        priced(pages, 990)
        browser.submit(f"{here}/order", {"recap": recap, "terms": "yes"})
        assert browser.url == f"{here}/recap"
        assert "Quelque chose a changé" in browser.page.text
        assert "<mark>9,90\u00a0€</mark>" in browser.page.text
        assert browser.hidden("recap") != recap
        assert view_of(pages, here).checkout.state == "recap"
    finally:
        priced(pages, 1190)


def test_an_article_that_ran_out_is_named_on_the_cart(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "recap", "LL-CAFETIERE", "LL-AMPOULE")
    recap = browser.hidden("recap")
    pages.run(pages.desk.put_levels("demo", {"LL-CAFETIERE": 0}))
    try:
        browser.submit(f"{here}/order", {"recap": recap, "terms": "yes"})
        assert browser.url == f"{here}/cart"
        assert "Cafetière Vapeur est épuisé" in browser.page.text
        assert "C08" in browser.page.text
        assert view_of(pages, here).checkout.state == "recap"
        browser.submit(f"{here}/cart", {"remove": "0"})
        assert "est épuisé" not in browser.page.text
    finally:
        pages.run(pages.desk.put_levels("demo", {"LL-CAFETIERE": 12}))


def test_the_button_pressed_twice_makes_one_order(browser: Browser) -> None:
    here = order_as_far_as(browser, "recap")
    fields = {"recap": browser.hidden("recap"), "terms": "yes", "csrf": browser.token}
    headers = {"cookie": browser.cookie}
    one = browser.http.post(f"{here}/order", data=fields, headers=headers)
    other = browser.http.post(f"{here}/order", data=fields, headers=headers)
    assert one.headers["location"].startswith("http")
    browser._keep(one)
    assert other.headers["location"].startswith(("http", "/o/"))
    assert browser.go(f"{here}/recap").status_code == 200
    assert browser.url.startswith("/o/")


def test_quantities_and_codes_are_checked_and_what_was_typed_stays(browser: Browser) -> None:
    here = order_as_far_as(browser, "contact", "LL-AURORE")
    browser.go(f"{here}/cart")
    wrong = browser.send(f"{here}/cart", {"quantity.0": "two", "act": "update"})
    assert wrong.status_code == 422
    assert 'value="two"' in wrong.text
    browser.submit(f"{here}/cart", {"quantity.0": "2", "act": "update"})
    assert "258,00\u00a0€" in browser.page.text
    unknown = browser.send(f"{here}/cart", {"quantity.0": "2", "act": "coupon", "coupon": "RIEN"})
    assert unknown.status_code == 422
    assert "Ce code n\u2019est pas connu ici" in unknown.text
    assert 'value="RIEN"' in unknown.text
    browser.submit(f"{here}/cart", {"quantity.0": "2", "act": "coupon", "coupon": "bienvenue"})
    assert "\u221225,80\u00a0€" in browser.page.text
    empty = browser.send(f"{here}/cart", {"remove": "0"})
    assert empty.status_code == 422
    assert "au moins un article" in empty.text


def test_wrong_fields_are_named_all_at_once_and_kept(browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    browser.go(f"{here}/contact")
    answer = browser.send(f"{here}/contact", {"email": "camille", "first_name": "Camille", "consent.0": "yes"})
    assert answer.status_code == 422
    assert "2 points à corriger" in answer.text
    assert 'href="#email"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert 'value="Camille"' in answer.text
    assert re.search(r'name="consent.0"[^>]*checked', answer.text)


def test_relay_points_are_found_by_postcode_without_javascript(pages: Hosted, browser: Browser) -> None:
    here = order_as_far_as(browser, "delivery")
    page = browser.go(f"{here}/delivery?near=69001").text
    assert "Librairie République" in page
    assert "Tabac du Bouffay" not in page
    assert "Aucun point relais" in browser.go(f"{here}/delivery?near=13001").text
    lost = browser.send(f"{here}/delivery", {"mode": "relay"})
    assert lost.status_code == 422
    browser.submit(f"{here}/delivery", {"mode": "relay", "place.relay": "relais-republique"})
    assert view_of(pages, here).record.place == "relais-republique"


def test_a_gift_card_pays_a_part_and_wrong_numbers_are_counted(browser: Browser) -> None:
    here = order_as_far_as(browser, "payment")
    browser.go(f"{here}/payment")
    wrong = browser.send(f"{here}/payment", {"means": "card", "purse": "CADEAU-1", "act": "purse"})
    assert wrong.status_code == 422
    assert "vérifiez le numéro" in wrong.text
    browser.submit(f"{here}/payment", {"means": "card", "purse": "CADEAU-2000", "act": "purse"})
    assert "\u221220,00\u00a0€" in browser.page.text
    assert "Reste à payer" in browser.page.text
    assert "CADEAU-2000" not in browser.page.text.replace('value="CADEAU-2000"', "")
    browser.submit(f"{here}/payment", {"means": "card", "kept.0": "CADEAU-2000", "act": "go"})
    assert browser.url == f"{here}/recap"
    assert "20,00\u00a0€" in browser.page.text


def test_an_address_that_looks_mistyped_is_asked_about_and_never_refused(browser: Browser) -> None:
    here = order_as_far_as(browser, "contact")
    browser.go(f"{here}/contact")
    browser.submit(f"{here}/contact", CONTACT | {"email": "camille@gmial.com"})
    browser.submit(f"{here}/delivery", HOME)
    browser.submit(f"{here}/payment", {"means": "card", "act": "go"})
    assert "camille@gmail.com" in browser.page.text


def test_english_shoppers_read_english_and_the_button_their_words(browser: Browser) -> None:
    order_as_far_as(browser, "recap", locale="en-GB")
    page = browser.page.text
    assert '<html lang="en">' in page
    assert "Check your order, then confirm" in page
    assert "Order with obligation to pay" in page
    assert "€129.00" in page


def test_an_offline_means_needs_no_provider(browser: Browser) -> None:
    here = order_as_far_as(browser, "payment")
    browser.go(f"{here}/payment")
    browser.submit(f"{here}/payment", {"means": "transfer", "act": "go"})
    location = press(browser, here)
    assert location.startswith("/o/")
    browser.go(location)
    assert "Votre règlement est attendu" in browser.page.text


def test_a_failed_payment_says_why_and_offers_other_means_at_once(browser: Browser, bank: RunningBank) -> None:
    here = order_as_far_as(browser, "recap")
    page = press(browser, here)
    bank.pay(page, "4000000000009995")
    browser.go(f"{here}/recap")
    order = f"/o/{browser.url.split(chr(47))[2]}"
    browser.go(f"{order}?back=left&attempt={live_of(browser, order)}")
    assert "La carte n\u2019a pas assez de provision" in browser.page.text or "annulé le paiement" in browser.page.text
    assert "Aucun argent n\u2019a été prélevé" in browser.page.text
    assert 'value="transfer"' in browser.page.text
    again = browser.send(f"{order}/pay", {"means": "card"})
    assert again.headers["location"] != page
    browser.go(bank.pay(again.headers["location"], PAID).headers["location"])
    assert "Merci" in browser.page.text


def live_of(browser: Browser, order: str) -> str:
    view = browser.hosted.run(browser.hosted.desk.order("demo", UUID(order.rpartition("/")[2])))
    assert isinstance(view, OrderView)
    return view.order.live.id if view.order.live is not None else ""


def test_only_the_shopper_himself_leaves_a_payment_and_only_the_one_he_was_at(browser: Browser) -> None:
    here = order_as_far_as(browser, "recap")
    press(browser, here)
    browser.go(f"{here}/recap")
    order = f"/o/{browser.url.split(chr(47))[2]}"
    first = live_of(browser, order)
    for old in (f"{order}?back=left", f"{order}?back=left&attempt=of-an-old-tab"):
        browser.go(old)
        assert live_of(browser, order) == first
    browser.go(f"{order}?back=left&attempt={first}", sec_purpose="prefetch;prerender")
    assert live_of(browser, order) == first
    browser.go(f"{order}?back=left&attempt={first}")
    assert not live_of(browser, order)
    browser.send(f"{order}/pay", {"means": "card"})
    second = live_of(browser, order)
    assert second not in {"", first}
    browser.go(f"{order}?back=left&attempt={first}")
    assert live_of(browser, order) == second


def test_a_shop_may_frame_the_pages_and_its_theme_is_readable(
    bank: RunningBank, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def themed(shop: Shop) -> Shop:
        return msgspec.structs.replace(
            shop, frame_ancestors=("https://lampes.example", "javascript:alert(1)", "*"),
            theme={"--accent": "#ffe680", "--page": "url(https://evil.example)", "radius": "4px", "font": "Georgia"},
        )  # fmt: skip

    with hosted(tmp_path_factory.mktemp("framed"), bank, one_shop(themed)) as framed:
        browser = Browser(framed)
        order_as_far_as(browser, "contact")
        policy = browser.page.headers["content-security-policy"]
        assert "frame-ancestors https://lampes.example;" in f"{policy};"
        assert "javascript" not in policy
        assert "x-frame-options" not in browser.page.headers
        style = re.search(r"<style>(.*?)</style>", browser.page.text)
        assert style
        assert "evil" not in style[1]
        assert "--on-accent:#000" in style[1]
        assert "--radius:4px" in style[1]
        assert "unsafe-inline" not in policy
