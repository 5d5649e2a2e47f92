"""The browser tracker in a real Chromium, against the real tracking service; what arrived is read from Kafka."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Response, sync_playwright

from relance.events import codec
from relance.events.browsing import PageEngaged
from relance.kafka.admin import ensure_topics
from tests.integration.browser_kit import Arrived, Scene, free_port, serve_pages, start_tracking, write_shop

PATIENCE_MS = 30_000
pytestmark = [pytest.mark.browser, pytest.mark.kafka]

STORED = """async () => ({
    cookies: document.cookie, local: Object.keys(localStorage).sort(), session: Object.keys(sessionStorage),
    databases: (await indexedDB.databases()).length, caches: (await caches.keys()).length})"""
NOTHING = {"cookies": "", "local": [], "session": [], "databases": 0, "caches": 0}


@pytest.fixture(scope="module")
def scene(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    ensure_topics(kafka)
    port = free_port()
    shop = f"browser-{uuid4().hex[:8]}"
    tag = {"tracker": f"http://127.0.0.1:{port}", "shop": shop, "key": f"pk_{shop}"}
    log = tmp_path_factory.mktemp("tracking") / "tracking.log"
    with serve_pages(tag) as server:
        scene = Scene(kafka, server, port)
        write_shop(kafka, shop, tag["key"], (scene.home,))
        tracking = start_tracking(kafka, port, log, BROWSER_EVENTS_PER_SECOND="10000")
        try:
            yield scene
        finally:
            scene.arrived.close()
            tracking.kill()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")  # else the one that Playwright installed
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def new_context(chromium: Browser, scene: Scene) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a browser of its own. It may ask nothing but the shop and tracking, and no page may see a fault."""
    contexts: list[BrowserContext] = []
    asked: list[str] = []
    faults: list[str] = []

    def make(**options: Any) -> BrowserContext:
        context = chromium.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", lambda request: asked.append(request.url))
        context.on("weberror", lambda error: faults.append(str(error.error)))
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert {urlsplit(url).hostname for url in asked} <= {"127.0.0.1", "localhost"}
    assert not faults


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    return new_context().new_page()


def visitor_of(page: Page) -> str:
    """The visitor as the tracker knows him, once it is there."""
    page.wait_for_function("window.relance && window.relance.visitor")
    return str(page.evaluate("relance.visitor()"))


def bodies(page: Page) -> list[Any]:
    """From now on, the events of each request, decoded as strictly as by tracking itself."""
    events: list[Any] = []

    def read(request: Request) -> None:
        if "/v1/collect" in request.url and request.post_data:
            parts = msgspec.json.decode(request.post_data, type=list[msgspec.Raw])
            events.extend(codec.decode(bytes(part)) for part in parts)

    page.on("request", read)
    return events


def opened(scene: Scene, page: Page, path: str = "/home.html") -> str:
    """Show a page; the visitor, once his first event is in Kafka."""
    page.goto(scene.home + path)
    visitor = visitor_of(page)
    scene.arrived.until(lambda: scene.arrived.rows(visitor, "page.viewed"), page, "the page view")
    return visitor


def test_a_page_view_arrives_with_where_it_was_and_without_what_is_private(scene: Scene, page: Page) -> None:
    sent = bodies(page)
    visitor = opened(scene, page, "/home.html?utm_campaign=spring&email=ann@example.org&size=3#top")

    (row,) = scene.arrived.rows(visitor)
    assert (row["type"], row["page"], row["campaign"], row["device"]) == ("page.viewed", "/home.html", "spring", 1)
    assert abs(row["time"] - time.time() * 1000) < PATIENCE_MS
    (event,) = sent
    assert event.source == f"/shops/{scene.shop}"
    assert event.senttime >= event.time
    assert event.data.title == "Lamps and chairs"
    assert event.data.url == f"{scene.home}/home.html?utm_campaign=spring&size=3"
    assert page.evaluate("window.told") == visitor


def test_a_product_in_json_ld_and_the_cart_of_the_page_arrive_in_minor_units(scene: Scene, page: Page) -> None:
    visitor = opened(scene, page, "/product.html")
    page.click("#other")
    page.click("#add")
    page.evaluate("relance.cart({cart_id: 'c-1', currency: 'JPY', total: 5, items: [{product_id: 'Y', price: '2.5'}]})")
    scene.arrived.until(lambda: len(scene.arrived.facts(visitor, "cart.updated")) == 2, page, "both carts")

    (viewed,) = scene.arrived.rows(visitor, "product.viewed")
    assert (viewed["product"], viewed["top_price_minor"], viewed["value_minor"]) == ("A1", 12_990, 12_990)
    (clicked,) = scene.arrived.rows(visitor, "product.clicked")
    assert clicked["product"] == "B2"
    (added,) = scene.arrived.facts(visitor, "cart.product_added")
    assert (added.data.cart_id, added.data.items[0].price_minor) == ("c-1", 12_990)
    first, second = (event.data for event in scene.arrived.facts(visitor, "cart.updated"))
    assert (first.total_minor, first.currency, first.items[0].product_id) == (25_980, "EUR", "42")
    assert (first.items[0].price_minor, first.items[0].quantity, first.items[0].image_url) == (12_990, 2, "/chair.jpg")
    assert (second.total_minor, second.items[0].price_minor) == (5, None)  # no yen has halves: unknown, not guessed


def test_each_route_of_a_single_page_application_is_a_page(scene: Scene, page: Page) -> None:
    visitor = opened(scene, page)
    page.click("#route")
    page.evaluate("history.replaceState({}, '', location.href)")  # the same place: no page
    scene.arrived.until(lambda: len(scene.arrived.rows(visitor, "page.viewed")) == 2, page, "the route")
    page.go_back()
    scene.arrived.until(lambda: len(scene.arrived.rows(visitor, "page.viewed")) == 3, page, "the way back")
    views = scene.arrived.rows(visitor, "page.viewed")
    assert [row["page"] for row in views] == ["/home.html", "/chairs", "/home.html"]


def test_engagement_is_said_every_15_s_of_visible_interaction_and_never_else(scene: Scene, page: Page) -> None:
    page.clock.install()
    sent = bodies(page)
    page.goto(scene.home + "/home.html")
    page.wait_for_function("window.relance && window.relance.visitor")

    def live(seconds: int, *, touching: bool) -> list[int]:
        del sent[:]
        for step in range(seconds):
            if touching and step % 5 == 0:
                page.mouse.move(100 + step % 50, 100)
            page.clock.run_for(1_000)
        page.clock.run_for(2_000)
        page.wait_for_timeout(100)
        return [event.data.engaged_ms or 0 for event in sent if isinstance(event, PageEngaged)]

    assert live(12, touching=False) == []  # nobody there
    first = live(47, touching=True)
    assert [round(engaged_ms / 15_000) for engaged_ms in first] == [1, 2, 3]
    assert len(live(120, touching=False)) <= 1  # what was begun before the shopper left the room
    page.evaluate("""Object.defineProperty(document, 'visibilityState', {get: () => 'hidden', configurable: true});
                     document.dispatchEvent(new Event('visibilitychange'))""")
    assert live(60, touching=True) == []
    visitor = visitor_of(page)
    scene.arrived.until(lambda: len(scene.arrived.rows(visitor, "page.engaged")) >= 3, page, "engagement")


def test_leaving_the_page_says_so_by_a_beacon(scene: Scene, page: Page) -> None:
    page.add_init_script("""{
        const send = navigator.sendBeacon;  // noted where it outlives the page
        navigator.sendBeacon = (...given) => localStorage.beacon = send.apply(navigator, given);
    }""")
    visitor = opened(scene, page)
    page.evaluate("relance.track('cart.viewed', {cart_id: 'c-9'}); document.querySelector('#away').click()")
    page.wait_for_url("**/elsewhere.html")
    assert page.evaluate("localStorage.beacon") == "true"
    scene.arrived.until(lambda: scene.arrived.facts(visitor, "page.left"), page, "page.left")
    (left,) = scene.arrived.facts(visitor, "page.left")
    assert left.data.page == "/home.html"
    assert len(scene.arrived.facts(visitor, "cart.viewed")) == 1  # it waited for company, and was not left behind


def test_nothing_is_stored_before_consent_one_id_after_and_nothing_after_withdrawal(scene: Scene, page: Page) -> None:
    before = opened(scene, page, "/product.html")
    page.mouse.move(200, 200)
    assert page.evaluate(STORED) == NOTHING
    page.reload()
    anonymous = visitor_of(page)
    assert anonymous != before  # nobody is recognised

    page.evaluate("relance.consent({storage: true, email: true, sms: false}, {text_version: 'v3', proof: 'banner'})")
    assert page.evaluate(STORED) == NOTHING | {"local": [f"relance:{scene.shop}"]}
    assert visitor_of(page) == anonymous
    page.reload()
    assert visitor_of(page) == anonymous
    page.evaluate("relance.consent({email: true, sms: false})")  # as a banner repeats it on each page: no news
    scene.arrived.until(lambda: len(scene.arrived.facts(anonymous, "consent.changed")) == 2, page, "the consents")

    page.evaluate("relance.consent({storage: false, email: false})")
    assert page.evaluate(STORED) == NOTHING
    assert visitor_of(page) != anonymous
    scene.arrived.until(lambda: len(scene.arrived.facts(anonymous, "consent.changed")) == 3, page, "the withdrawal")
    said = sorted(scene.arrived.facts(anonymous, "consent.changed"), key=lambda event: event.time)
    assert sorted((event.data.channel, event.data.status, event.data.text_version) for event in said[:2]) == [
        ("email", "granted", "v3"), ("sms", "denied", "v3"),
    ]  # fmt: skip
    assert (said[2].data.channel, said[2].data.status) == ("email", "denied")
    views = scene.arrived.rows(anonymous, "page.viewed")
    assert [(row["consent_granted"], row["consent_denied"]) for row in views] == [(0, 0), (1, 2)]


def test_global_privacy_control_keeps_storage_empty_where_the_shop_asks_so(scene: Scene, page: Page) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {get: () => true})")
    opened(scene, page, "/home.html?tag=data-gpc%3Dmemory")
    page.evaluate("relance.consent({storage: true})")
    assert page.evaluate(STORED) == NOTHING


@pytest.mark.parametrize("stored", [False, True], ids=["in memory", "over a new page"])
def test_what_happens_offline_arrives_once_online(
    scene: Scene, new_context: Callable[..., BrowserContext], *, stored: bool
) -> None:
    context = new_context()
    page = context.new_page()
    visitor = opened(scene, page)
    if stored:
        page.evaluate("relance.consent({storage: true})")
    context.set_offline(True)
    page.evaluate("for (let n = 0; n < 45; n++) relance.track('cart.updated', {cart_id: 'c-1', version: n})")
    page.wait_for_timeout(1_500)
    assert not scene.arrived.facts(visitor, "cart.updated")
    if stored:  # closed while offline: a later page of the same browser sends it
        page.close()
        page = context.new_page()
        context.set_offline(False)
        page.goto(scene.home + "/home.html")
    else:
        context.set_offline(False)
    scene.arrived.until(lambda: len(scene.arrived.facts(visitor, "cart.updated")) >= 45, page, "all of it")
    page.wait_for_timeout(300)
    versions = [event.data.version for event in scene.arrived.facts(visitor, "cart.updated")]
    assert sorted(versions) == list(range(45))
    if stored:
        page.wait_for_function("Object.keys(localStorage).length === 1")  # the visitor alone


def test_exit_intent_is_said_once_a_page_when_the_pointer_leaves_through_the_top(scene: Scene, page: Page) -> None:
    visitor = opened(scene, page)
    page.wait_for_timeout(1_000)
    for _ in range(2):
        page.mouse.move(300, 300)
        page.mouse.move(300, 2)
        page.mouse.move(300, -20)
    scene.arrived.until(lambda: scene.arrived.facts(visitor, "exit.intent"), page, "exit intent")
    page.click("#route")
    page.wait_for_timeout(1_200)
    page.mouse.move(300, 300)
    page.mouse.move(300, -20)
    scene.arrived.until(lambda: len(scene.arrived.facts(visitor, "exit.intent")) > 1, page, "that of the next page")
    assert [event.data.page for event in scene.arrived.facts(visitor, "exit.intent")] == ["/home.html", "/chairs"]


def test_on_a_phone_a_fast_scroll_to_the_top_is_exit_intent(
    scene: Scene, new_context: Callable[..., BrowserContext]
) -> None:
    page = new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True).new_page()
    visitor = opened(scene, page)
    page.wait_for_timeout(1_000)
    page.evaluate("""async () => {
        const to = (y) => new Promise((done) => { scrollTo(0, y); setTimeout(done, 50); });
        for (const y of [1500, 3000, 2600, 2200, 1600]) await to(y);
    }""")
    scene.arrived.until(lambda: scene.arrived.facts(visitor, "exit.intent"), page, "exit intent")
    assert {row["device"] for row in scene.arrived.rows(visitor)} == {2}


def test_a_page_of_another_origin_is_refused_by_cors_and_takes_no_harm(scene: Scene, page: Page) -> None:
    failed: list[str | None] = []
    page.on("requestfailed", lambda request: failed.append(request.failure))
    with page.expect_event("requestfailed", lambda request: "/v1/collect" in request.url):
        page.goto(scene.stranger + "/home.html")
    visitor = visitor_of(page)
    assert page.evaluate("fetch(document.querySelector('script[data-key]').src).then(() => 'read', () => 'refused')")
    assert "net::ERR_FAILED" in failed
    page.wait_for_timeout(300)
    assert not scene.arrived.rows(visitor)


def test_what_only_servers_may_say_is_refused_and_not_sent_again(scene: Scene, page: Page) -> None:
    visitor = opened(scene, page)
    with page.expect_response(lambda answer: "order.completed" in (answer.request.post_data or "")) as refused:
        page.evaluate("relance.track('order.completed', {order_id: 'o-1'})")
    assert refused.value.status == 422
    with page.expect_response(lambda answer: "cart.viewed" in (answer.request.post_data or "")) as taken:
        page.evaluate("relance.push(['track', 'cart.viewed', {cart_id: 'c-2'}])")
    assert taken.value.status == 204
    assert "order.completed" not in (taken.value.request.post_data or "")
    scene.arrived.until(lambda: scene.arrived.facts(visitor, "cart.viewed"), page, "the next event")


def test_a_service_that_cannot_take_more_gets_it_again_later_and_once(scene: Scene, page: Page, tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "tracking.log"
    full = start_tracking(scene.bootstrap, port, log, QUEUE_BYTES_MAX="1")
    try:
        with page.expect_response(lambda answer: answer.status == 503):
            page.goto(f"{scene.home}/home.html?tag=data-endpoint%3Dhttp://127.0.0.1:{port}/v1/collect")
        visitor = visitor_of(page)
        page.evaluate("relance.track('cart.viewed', {cart_id: 'c-3'})")
        assert full.end() == 0  # for a while nobody answers at all
    finally:
        full.kill()
    restarted = start_tracking(scene.bootstrap, port, log)
    try:
        scene.arrived.until(lambda: scene.arrived.facts(visitor, "cart.viewed"), page, "what was said before")
        assert [row["type"] for row in scene.arrived.rows(visitor)] == ["page.viewed", "cart.viewed"]
    finally:
        restarted.kill()


def test_a_shop_over_its_rate_is_left_alone_for_as_long_as_it_asks(scene: Scene, page: Page) -> None:
    shop = f"slow-{uuid4().hex[:8]}"
    answers: list[tuple[int, float, float]] = []

    def note(response: Response) -> None:
        if "/v1/collect" in response.url:
            sent_s = response.request.timing["startTime"] / 1000
            answers.append((response.status, sent_s, float(response.headers.get("retry-after", 0))))

    page.on("response", note)
    with serve_pages(scene.server.tag | {"shop": shop, "key": f"pk_{shop}"}) as server:
        write_shop(scene.bootstrap, shop, f"pk_{shop}", (f"http://127.0.0.1:{server.port}",), per_second=1)
        arrived = Arrived(scene.bootstrap, shop)
        page.goto(f"http://127.0.0.1:{server.port}/home.html")
        visitor = visitor_of(page)
        arrived.until(lambda: arrived.rows(visitor), page, "the page view")
        for number in range(4):
            page.evaluate("n => relance.track('cart.updated', {cart_id: 'c-1', version: n})", number)
            if number == 2:
                arrived.until(lambda: len(arrived.facts(visitor, "cart.updated")) == 3, page, "more than the rate")
        arrived.until(lambda: len(arrived.facts(visitor, "cart.updated")) == 4, page, "the last, when it may")
        arrived.close()
        while answers[-1][0] != 204:
            page.wait_for_timeout(50)
    over = [place for place, (status, _, _) in enumerate(answers) if status == 429]
    assert over
    for place in over:
        (_, sent_s, asked_s), (_, next_s, _) = answers[place : place + 2]
        assert asked_s >= 1
        assert next_s - sent_s >= asked_s


def test_a_data_layer_is_listened_to_where_the_tag_asks_so(scene: Scene, page: Page) -> None:
    page.add_init_script("window.dataLayer = [{event: 'view_item', ecommerce: {items: [{item_id: 7}]}}]")
    visitor = opened(scene, page, "/home.html?tag=data-datalayer")
    page.evaluate("""() => {
        function gtag() { dataLayer.push(arguments); }
        const items = [{item_id: 'A1', item_name: 'Lamp', price: 10.5, quantity: '2'}];
        const cart = {currency: 'EUR', value: 21, items: items};
        gtag('event', 'add_to_cart', cart);
        dataLayer.push({event: 'begin_checkout', ecommerce: cart}, {event: 'gtm.js'});
    }""")
    scene.arrived.until(lambda: scene.arrived.facts(visitor, "checkout.started"), page, "the checkout")
    assert [row["product"] for row in scene.arrived.rows(visitor, "product.viewed")] == ["7"]
    (added,) = scene.arrived.facts(visitor, "cart.product_added")
    assert (added.data.items[0].price_minor, added.data.items[0].quantity) == (1_050, 2)
    (started,) = scene.arrived.facts(visitor, "checkout.started")
    assert (started.data.total_minor, started.data.cart_id) == (2_100, visitor)
