"""Webhooks as the bank sends them: signed, repeated until taken; twice, late, reversed or never when told."""

import asyncio
from collections import deque
from typing import Final, NamedTuple

import aiohttp
import msgspec
import stripe

from relance.bank.cards import Webhooks
from relance.bank.ledger import Ledger
from relance.bank.wire import Json, public

__all__ = ["DEFAULT_EVENTS", "Delivery", "Notices"]

DEFAULT_EVENTS: Final = frozenset(
    {
        "checkout.session.completed", "checkout.session.expired", "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed", "payment_intent.requires_action", "payment_intent.payment_failed",
        "refund.created", "refund.updated", "refund.failed",
    }
)  # fmt: skip
_PAUSES_S: Final = (0.5, 2.0, 5.0, 15.0)  # before another try; Stripe goes on for days
_ANSWER_S: Final = 10.0
_HELD_S: Final = 0.4  # for what comes in reversed order
_REMEMBERED: Final = 1_000


class Delivery(NamedTuple):
    """One try to deliver an event. `status`: of HTTP; 0 when nobody answered."""

    event: str
    type: str
    status: int


class Notices:
    """`url`: where webhooks go; empty: nowhere. `mode`: how, unless the card says otherwise; `late_s`: what late is."""

    def __init__(self, ledger: Ledger, url: str, secret: str, *, late_s: float = 5.0) -> None:
        self.mode: Webhooks = "once"
        self.late_s = late_s
        self.url = url
        self.events = DEFAULT_EVENTS
        self.delivered: deque[Delivery] = deque(maxlen=_REMEMBERED)
        self._ledger = ledger
        self._secret = secret
        self._held: dict[str, list[Json]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Give up what was not delivered."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def hear(self, event: Json) -> None:
        """An event has happened; it is sent as its page's card, or else the bank, was told."""
        if not self.url or event["type"] not in self.events:
            return
        mode = self._mode_of(event)
        if mode == "never":
            return
        if mode == "reversed":
            self._hold(event)
            return
        for _ in range(2 if mode == "twice" else 1):
            self._start(event, self.late_s if mode == "late" else 0.0)

    def send_again(self, event_id: str) -> None:
        """Send an event of the past once more, signed anew. Raises ApiError when there is none."""
        self._start(self._ledger.get("event", event_id), 0.0)

    def _mode_of(self, event: Json) -> Webhooks:
        about = event["data"]["object"]
        sessions = [about] if about["object"] == "checkout.session" else []
        intent = about["id"] if about["object"] == "payment_intent" else about.get("payment_intent")
        sessions += self._ledger.of_intent(intent, "checkout.session") if intent else []
        return next((one["_webhooks"] for one in sessions if one.get("_webhooks")), self.mode)

    def _hold(self, event: Json) -> None:
        about = event["data"]["object"]
        key = about["id"] if about["object"] == "payment_intent" else about.get("payment_intent") or about["id"]
        held = self._held.setdefault(key, [])
        held.append(event)
        if len(held) == 1:
            self._keep(asyncio.create_task(self._release(key)))

    async def _release(self, key: str) -> None:
        await asyncio.sleep(_HELD_S)
        for event in reversed(self._held.pop(key)):
            await self._deliver(event, 0.0)

    def _start(self, event: Json, after_s: float) -> None:
        self._keep(asyncio.create_task(self._deliver(event, after_s)))

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver(self, event: Json, after_s: float) -> None:
        await asyncio.sleep(after_s)
        for pause_s in (*_PAUSES_S, None):
            status = await self._post(msgspec.json.encode(public(event)))
            self.delivered.append(Delivery(event["id"], event["type"], status))
            if 200 <= status < 300 or pause_s is None:
                return
            await asyncio.sleep(pause_s)

    async def _post(self, body: bytes) -> int:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_S))
        signature = stripe.WebhookSignature.generate_signature_header(body.decode(), self._secret, self._ledger.now())
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature}
        try:
            async with self._session.post(self.url, data=body, headers=headers) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0
