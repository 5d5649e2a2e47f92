"""Camille orders: a cart, a bank that does not let her pay, a link that brings her back, a confirmation by mail; and
she withdraws from a part of it.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx

from relance.cli.demo_checkout.aftercare import Telling, withdraw
from relance.cli.demo_checkout.browser import Browser, Page
from relance.cli.demo_checkout.stage import Stage
from relance.cli.hearing import Hearing
from relance.cli.playing import now_ms
from relance.events.signals import Signal
from relance.events.topics import RAW
from relance.kernel.errors import NotNow
from relance.kernel.ids import visitor_uuid
from relance.kernel.instants import parse_ms
from relance.rules.law.book import NotInForce, default_book

__all__ = ["Told", "play"]

T = TypeVar("T")

_SHOP: Final = "demo"
_PHONE: Final = "Mozilla/5.0 (Linux; Android 16) Mobile"
_LAPTOP: Final = "Mozilla/5.0 (X11; Linux x86_64)"
_EMAIL: Final = "camille@client.example"
_CARD: Final = "4000002760003184"  # pays after 3-D Secure
_PATIENCE_S: Final = 60.0
_ADDRESS: Final = {
    "name": "Camille Durand", "line1": "12 rue des Carmes", "postcode": "44000", "city": "Nantes",
}  # fmt: skip


class Told(NamedTuple):
    """What the story left behind: to look at, and to ask about."""

    order_id: str
    seen_ms: int  # from the end of the payment at the bank until its event could be read in Kafka
    mails: int
    refunded_minor: int


def play(stage: Stage, kafka: str, tell: Callable[[str, bool], None]) -> Told:
    """Play the chapter on an open stage. `tell` gets each line, and whether Relance says it (else she does something).

    Raises NotNow when something does not come about within its time.
    """
    ears = _Ears(kafka, tell)
    ears.start()
    try:
        return _Chapter(stage, ears, tell).play()
    finally:
        ears.close()


class _Ears:
    """Events and signals as they become readable."""

    def __init__(self, kafka: str, tell: Callable[[str, bool], None]) -> None:
        self._kafka = kafka
        self._tell = tell
        self._heard = threading.Condition()
        self._events: list[tuple[int, dict[str, Any]]] = []
        self._signals: list[tuple[int, Signal]] = []
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._hearing = Hearing(kafka, {_SHOP}, self._signal)
        self._thread = threading.Thread(target=self._follow, name="events", daemon=True)

    def start(self) -> None:
        """Nothing said after this is missed."""
        self._hearing.start()
        self._thread.start()
        if not self._ready.wait(30.0):
            raise NotNow("the events cannot be read: Kafka does not answer")

    def close(self) -> None:
        """End both threads."""
        self._stop.set()
        self._hearing.close()
        self._thread.join(5.0)

    def event(self, type_: str, field: str, value: str) -> int:
        """When the event could be read, ms since 1970. Raises NotNow when it does not come."""

        def found() -> int | None:
            for heard_ms, event in self._events:
                if event.get("type") == type_ and event.get("data", {}).get(field) == value:
                    return heard_ms
            return None

        return self._until(found, f"event {type_}")

    def signal(self, visitor: str, kind: str, window: str) -> tuple[Signal, int]:
        """The signal of a visitor, and when it could be read. Raises NotNow when it does not come."""
        named = visitor_uuid(_SHOP, visitor)

        def found() -> tuple[Signal, int] | None:
            for heard_ms, signal in self._signals:
                if signal.visitor == named and signal.kind == kind and window in {"", signal.window}:
                    return signal, heard_ms
            return None

        return self._until(found, f"signal {kind} {window}".rstrip())

    def _until(self, found: Callable[[], T | None], what: str) -> T:
        end_s = time.monotonic() + _PATIENCE_S
        with self._heard:
            while (result := found()) is None:
                self._hearing.check()
                if time.monotonic() > end_s:
                    raise NotNow(f"no {what} within {_PATIENCE_S:.0f} s")
                self._heard.wait(0.5)
        return result

    def _signal(self, signal: Signal, heard_ms: int) -> None:
        with self._heard:
            self._signals.append((heard_ms, signal))
            self._heard.notify_all()

    def _follow(self) -> None:
        from relance.kafka.consumer import tail

        for messages in tail(self._kafka, [RAW.name], stop=self._stop):
            self._ready.set()
            heard_ms = now_ms()
            with self._heard:
                self._events += [(heard_ms, json.loads(message.value())) for message in messages]
                self._heard.notify_all()


class _Chapter:
    """Her way, step by step."""

    def __init__(self, stage: Stage, ears: _Ears, tell: Callable[[str, bool], None]) -> None:
        self._stage = stage
        self._ears = ears
        self._tell = tell
        self._law = default_book()
        self._today = datetime.now(UTC).date()

    def play(self) -> Told:
        """All of it."""
        laptop, phone = Browser(_LAPTOP), Browser(_PHONE)
        try:
            recap = self._fill_in(laptop, self._fill_cart(laptop))
            bank = self._order(laptop, recap)
            order_id, seen_ms = self._fail(laptop, bank)
            self._resume(phone, self._letter("/p/"))
            self._confirmed(laptop, order_id)
            refunded_minor = withdraw(self._stage, order_id, phone, self._telling())
            letters = self._letters()
        finally:
            laptop.close()
            phone.close()
        return Told(order_id, seen_ms, len(letters), refunded_minor)

    def _telling(self) -> Telling:
        """What the chapter of her withdrawal is told by."""
        return Telling(
            she=self._she,
            relance=lambda words: self._tell(words, True),
            says=self._says,
            letter=lambda words: self._await_letter(lambda one: words in " ".join(one["text"].split())),
            link=self._letter,
            heard=lambda type_, order_id: self._ears.event(type_, "order_id", order_id),
        )

    def _fill_cart(self, browser: Browser) -> Page:
        shop = self._stage.shop
        browser.open(shop)
        for sku in ("LL-CAFETIERE", "LIVRE-LUMIERE"):
            browser.submit(browser.open(f"{shop}/articles/{sku}"), sku=sku)
        self._she("puts a coffee maker and a book into her cart, and goes to the checkout")
        cart = browser.open(f"{shop}/cart")
        form = next(number for number, one in enumerate(cart.forms) if one.action == "/checkout")
        page = browser.submit(cart._replace(forms=cart.forms[form:]))
        _expect(page, "/cart")
        self._says("delivery from its price, means of payment and restrictions stand on the first page", "A06")
        return page

    def _fill_in(self, browser: Browser, cart: Page) -> Page:
        contact = browser.open(cart.link("/contact"))
        page = browser.submit(contact, email=_EMAIL, first_name="Camille", last_name="Durand")
        self._she("gives her address as a guest; no box was ticked for her")
        self._says("what her address is used for stands at the field, and nothing is tied to a consent", "E26")
        page = browser.submit(page, mode="home", **_ADDRESS)
        page = browser.submit(page, ("act", "go"), means="card")
        _expect(page, "/recap")
        self._says("the recap shows what is bought, its total and each way to correct it", "A07")
        return page

    def _order(self, browser: Browser, recap: Page) -> Page:
        page = browser.submit(recap, terms="yes")
        if not page.url.startswith(self._stage.bank):
            raise NotNow(f"the order button led to {page.url}, {page.title!r}, and not to the bank")
        self._she('presses "Commander avec obligation de paiement"')
        self._says("the words on the button say that an order obliges to pay", "A04")
        return page

    def _fail(self, browser: Browser, bank: Page) -> tuple[str, int]:
        page = browser.submit(bank, number=_CARD, expiry="12/60", code="123")
        page = browser.submit(page, ("answer", "refuse"))
        self._she("is asked by her bank whether it is she (3-D Secure), and cannot confirm: her telephone is empty")
        back = page.link("/o/")
        order_id = urlsplit(back).path.split("/")[2]
        left_ms = now_ms()
        browser.open(back)
        seen_ms = self._ears.event("payment.failed", "order_id", order_id) - left_ms
        self._tell(f"payment.failed is in Kafka {max(seen_ms, 0)} ms after she turned back", True)
        signal, heard_ms = self._ears.signal(browser.cookie("visitor"), "abandoned", "payment-failed")
        late_ms = max(heard_ms - parse_ms(signal.fired_at), 0)
        self._tell(f"the window {signal.window} fires; {late_ms} ms after due", True)
        return order_id, seen_ms

    def _resume(self, browser: Browser, link: str) -> None:
        self._tell("a message with a link to pay the same order is in her mailbox", True)
        page = browser.open(link)
        self._she("opens it on her telephone: the order without her personal data, and one button")
        page = browser.submit(page, means="card")
        if not page.url.startswith(self._stage.bank):
            raise NotNow(f"the link led to {page.url}, {page.title!r}, and not to the bank")
        page = browser.submit(page, number=_CARD, expiry="12/60", code="123")
        page = browser.submit(page, ("answer", "confirm"))
        _expect(page, "/thanks")
        self._she("confirms with her telephone, and has paid")

    def _confirmed(self, browser: Browser, order_id: str) -> None:
        self._ears.event("order.completed", "order_id", order_id)
        self._tell("order.completed: the sale counts, at the time at which the bank had the money", True)
        self._ears.signal(browser.cookie("visitor"), "converted", "")
        self._tell("her session has converted", True)
        letter = self._await_letter(lambda one: any(part["name"].endswith(".pdf") for part in one["attached"]))
        self._she(f'finds "{letter["subject"]}" in her mailbox, with the confirmation as PDF')
        self._says("the confirmation is on a durable medium, with all that the law lists and the form", "A10")

    def _letter(self, part: str) -> str:
        """The first link that holds `part` in a letter to her."""
        pattern = re.compile(rf"{re.escape(self._stage.pages)}{re.escape(part)}[A-Za-z0-9_-]+")
        letter = self._await_letter(lambda one: bool(pattern.search(one["text"])))
        found = pattern.search(letter["text"])
        assert found is not None
        return found[0]

    def _await_letter(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end_s = time.monotonic() + _PATIENCE_S
        while True:
            found = next((one for one in self._letters() if one["to"] == _EMAIL and wanted(one)), None)
            if found is not None:
                return found
            if time.monotonic() > end_s:
                raise NotNow(f"no such letter to {_EMAIL} within {_PATIENCE_S:.0f} s")
            time.sleep(0.2)

    def _letters(self) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self._stage.mailbox}/api/mails", timeout=10.0)
        letters: list[dict[str, Any]] = answer.json()
        return letters

    def _she(self, words: str) -> None:
        self._tell(words, False)

    def _says(self, words: str, rule: str) -> None:
        """A line of Relance's with the article that asks for it, out of the book."""
        try:
            article = self._law.rule(rule, self._today).article
        except NotInForce:
            article = ""
        self._tell(f"{words} ({', '.join(filter(None, (rule, article)))})", True)


def _expect(page: Page, part: str) -> None:
    if part not in urlsplit(page.url).path or page.status >= 400:
        raise NotNow(f"{page.url} says {page.status}, {page.title!r}, where {part} was expected")
