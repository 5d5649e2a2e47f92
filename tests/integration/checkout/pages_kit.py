"""The pages of the example shop, served by a thread of this process; the bank is a process of its own."""

import asyncio
import contextlib
import os
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from html import unescape
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import msgspec

from relance.rules.law.book import RULES, Book
from services.checkout.adapters.printing import LegalShelf
from services.checkout.api.http import HttpEdge
from services.checkout.api.pages import PageSettings, make_pages
from services.checkout.application.desk import Desk
from services.checkout.application.room import Terms
from services.checkout.domain.articles import Article
from services.checkout.domain.coupons import Coupon
from services.checkout.domain.offers import Price
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.records import CartLine, NewCart
from services.checkout.domain.shops import Shop
from services.checkout.domain.tenders import Purse
from services.checkout.store import MasterKey, open_store
from services.checkout.store.outbox import Outbox
from tests.integration.browser_kit import free_port
from tests.integration.checkout.bank_kit import RunningBank, provider_of

__all__ = ["Browser", "Hosted", "hosted", "one_shop", "order_as_far_as", "order_of"]

EXAMPLE = Path(__file__).parents[3] / "examples" / "shop"
CONTACT = {"email": "camille@example.org", "first_name": "Camille", "last_name": "Martin", "phone": "+33 6 12 34 56 78"}
HOME = {"mode": "home", "name": "Camille Martin", "line1": "12 rue des Lilas", "line2": "", "postcode": "44000",
        "city": "Nantes", "country": "FR"}  # fmt: skip
T = TypeVar("T")


class Offered(msgspec.Struct):
    """The prices of an article, as the example writes them."""

    sku: str
    prices: tuple[Price, ...]


class Hosted:
    """The pages at `url`, and their desk."""

    def __init__(self, url: str, desk: Desk, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self.desk = desk
        self._loop = loop
        self.browsers: list[Browser] = []

    def run(self, work: Awaitable[T]) -> T:
        """What the desk does, in its own loop."""

        async def awaited() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(30)

    def cart(
        self, *skus: str, locale: str = "fr", coupons: Sequence[str] = (), cart_id: str = "", person: str = ""
    ) -> View:  # fmt: skip
        """A checkout that the shop's backend creates."""
        wanted = skus or ("LL-AURORE",)
        counted = {sku: wanted.count(sku) for sku in wanted}
        cart = NewCart(
            cart_id=cart_id or str(uuid4()), lines=tuple(CartLine(sku, count) for sku, count in counted.items()),
            locale=locale, coupons=tuple(coupons), person_id=person,
            return_url=f"{one_shop().return_urls[0]}/panier",
        )  # fmt: skip
        view = self.run(self.desk.create("demo", cart, str(uuid4())))
        assert isinstance(view, View), view
        return view

    def messages(self, kind: str, order_id: str) -> list[dict[str, Any]]:
        """What notification was asked to send about an order."""
        found = self.run(Outbox(self.desk.store.database, lambda: 0).unsent(10_000))
        told: list[dict[str, Any]] = [
            msgspec.json.decode(one.value) for one in found if one.topic == "checkout.messages.v1"
        ]
        return [one for one in told if one["kind"] == kind and one["order_id"] == order_id]

    def enter(self, view: View) -> str:
        """The address to which the shop sends its shopper, once."""
        token = self.run(self.desk.issue("demo", "checkout.enter", str(view.checkout.id)))
        return f"{self.url}/enter/{token}"


class Browser:
    """What a browser does without JavaScript: keeps the cookie, follows what it is told, sends forms."""

    def __init__(self, hosted: Hosted) -> None:
        self.hosted = hosted
        hosted.browsers.append(self)
        self.http = httpx.Client(base_url=hosted.url, follow_redirects=False, timeout=20.0)
        self.cookie = ""
        self.url = ""
        self.page = httpx.Response(200)

    def go(self, url: str, **headers: str) -> httpx.Response:
        """Open a page, and go where it leads."""
        return self._follow(self.http.get(url, headers=self._headers(headers)))

    def send(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        """Send a form with the token of the page that is open; stop where it leads."""
        answer = self.http.post(path, data={"csrf": self.token} | fields, headers=self._headers(headers))
        self._keep(answer)
        if answer.status_code != 303:
            self.page = answer
        return answer

    def submit(self, path: str, fields: dict[str, str]) -> httpx.Response:
        """Send a form, and go where it leads."""
        return self._follow(self.send(path, fields))

    @property
    def token(self) -> str:
        """The token of the forms on the page."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.page.text)
        return unescape(found[1]) if found else ""

    def hidden(self, name: str) -> str:
        """A hidden field of the page."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page.text)
        assert found, self.page.text
        return unescape(found[1])

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        given = {name.replace("_", "-"): value for name, value in more.items()}
        return ({"cookie": self.cookie} if self.cookie else {}) | given

    def _keep(self, answer: httpx.Response) -> None:
        if (set_cookie := answer.headers.get("set-cookie")) is not None:
            self.cookie = set_cookie.partition(";")[0]

    def _follow(self, answer: httpx.Response) -> httpx.Response:
        self._keep(answer)
        while answer.status_code in {303, 307} and answer.headers["location"].startswith(("/", self.hosted.url)):
            self.url = answer.headers["location"]
            answer = self.http.get(self.url, headers=self._headers({}))
            self._keep(answer)
        if answer.status_code != 303:
            self.page = answer
        return answer


def one_shop(change: Callable[[Shop], Shop] = lambda shop: shop) -> Shop:
    """The example shop."""
    return change(msgspec.yaml.decode((EXAMPLE / "shop.yaml").read_bytes(), type=Shop))


async def _stocked(desk: Desk, shop: Shop) -> None:
    def read(name: str, kind: Any) -> Any:
        return msgspec.yaml.decode((EXAMPLE / f"{name}.yaml").read_bytes(), type=kind)

    done: list[Refusal | None] = [await desk.put_shop(shop)]
    done.append(await desk.put_articles(shop.id, read("articles", tuple[Article, ...])))
    done += [await desk.put_prices(shop.id, one.sku, one.prices) for one in read("offers", tuple[Offered, ...])]
    done.append(await desk.put_levels(shop.id, read("stock", dict[str, int])))
    done.append(await desk.put_coupons(shop.id, read("coupons", tuple[Coupon, ...])))
    purses = [Purse(ref="CADEAU-2000", means="gift_card", balance_minor=2000)]
    done.append(await desk.put_purses(shop.id, purses))
    assert done == [None] * len(done), done


@contextlib.asynccontextmanager
async def _serving(
    tmp_path: Path, bank: RunningBank, shop: Shop, settings: dict[str, Any]
) -> AsyncIterator[tuple[str, Desk]]:
    book, port = Book.load(RULES), free_port()
    store = await open_store(f"sqlite:///{tmp_path}/pages.db", MasterKey(secret=os.urandom(32)))
    url = f"http://127.0.0.1:{port}"
    async with provider_of(bank.url) as provider:
        shelf = LegalShelf(book)
        desk = Desk(store, book, {"simulator": provider}, Terms(base_url=url), terms_sha256=shelf.terms_sha256)
        await _stocked(desk, shop)
        given = PageSettings(**{"secrets": ("s" * 40,), "payment_origins": (bank.url,)} | settings)
        pages = make_pages(desk, given, shelf)
        edge = HttpEdge(pages, trusted_proxies="", connections_max=100, drain_s=1.0)
        await edge.start("127.0.0.1", port)
        yield url, desk
        await edge.stop()
    await store.close()


@contextlib.contextmanager
def hosted(tmp_path: Path, bank: RunningBank, shop: Shop | None = None, **settings: Any) -> Iterator[Hosted]:
    """The pages, up until the end. `settings`: of the pages."""
    ready = threading.Event()
    made: list[Hosted] = []
    failed: list[BaseException] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def up() -> None:
        async with _serving(tmp_path, bank, shop or one_shop(), settings) as (url, desk):
            made.append(Hosted(url, desk, loop))
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(up())
        except BaseException as error:  # noqa: BLE001 - told to the test that waits
            failed.append(error)
            ready.set()
        finally:
            loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(60), "the pages did not start"
    if failed:
        raise failed[0]
    try:
        yield made[0]
    finally:
        for browser in made[0].browsers:
            browser.http.close()
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)


def order_as_far_as(browser: Browser, step: str, *skus: str, locale: str = "fr") -> str:
    """Go through the tunnel up to a step; returns where the checkout's pages are."""
    view = browser.hosted.cart(*skus, locale=locale)
    browser.go(browser.hosted.enter(view))
    here = f"/c/{view.checkout.id}"
    acts = [("contact", CONTACT), ("delivery", HOME), ("payment", {"means": "card", "act": "go"})]
    for name, fields in acts:
        if name == step:
            return here
        if name != "delivery" or view.checkout.needs_delivery:
            browser.go(f"{here}/{name}")
            assert browser.submit(f"{here}/{name}", fields).status_code == 200, browser.page.text
    return here


def order_of(browser: Browser) -> str:
    """A whole order, placed; returns its id."""
    here = order_as_far_as(browser, "recap")
    answer = browser.send(f"{here}/order", {"recap": browser.hidden("recap"), "terms": "yes"})
    assert answer.status_code == 303
    browser.go(f"{here}/recap")
    return browser.url.split("/")[2]
