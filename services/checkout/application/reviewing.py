"""Whether the shops that are stored may still sell: looked at when the service starts, and on each new day in Paris."""

import asyncio
import contextlib
from datetime import date, datetime, time, timedelta
from typing import Final

from relance.kernel.errors import NotNow
from relance.observability import logs
from relance.rules.law.calendar import PARIS, paris_date
from services.checkout.application.desk import Desk
from services.checkout.domain.shops import Shop
from services.checkout.domain.standing import Standing, coming, standing
from services.checkout.metrics import StandingMetrics

__all__ = ["AHEAD_DAYS", "ShopReview"]

AHEAD_DAYS: Final = 30  # how long before it blocks a rule is announced
_PAGE: Final = 200
_AGAIN_S: Final = 60.0  # after the database was away
_HOUR_S: Final = 3600.0


class ShopReview:
    """Holds every stored shop against the book: gauges and log lines say which rules block it, now or soon."""

    def __init__(self, desk: Desk, metrics: StandingMetrics) -> None:
        self._desk = desk
        self._metrics = metrics
        self._log = logs.logger("standing")
        self._day: date | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. A clock that was set is met within the hour."""
        while not stop.is_set():
            wait_s = _AGAIN_S
            try:
                if self._day != paris_date(self._desk.clock()):
                    await self.round()
                wait_s = min(_until_midnight_s(self._desk.clock()), _HOUR_S)
            except NotNow:
                pass
            except Exception as error:  # noqa: BLE001 - a shop that cannot be read holds up no shopper
                self._log.error("review_failed", error=type(error).__name__)
                wait_s = _HOUR_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await stop.wait()

    async def round(self) -> tuple[Standing, ...]:
        """Look at every shop; those that are blocked today or will be within AHEAD_DAYS. Raises NotNow."""
        day, found = paris_date(self._desk.clock()), list[Standing]()
        after = ""
        while True:
            shops = await self._desk.look(lambda tx, after=after: tx.all(Shop, "*", after=after, limit=_PAGE))  # type: ignore[misc]
            for shop in shops.values():
                found += self._looked_at(shop)
                await asyncio.sleep(0)  # a shop takes milliseconds: shoppers come between
            if len(shops) < _PAGE:
                break
            after = max(shops)
        self._metrics.tell({(one.shop, rule, one.day == day) for one in found for rule in one.rules})
        self._day = day
        return tuple(found)

    def _looked_at(self, shop: Shop) -> list[Standing]:
        book, day = self._desk.law(self._desk.clock())
        now = standing(shop, book, day)
        if now.blockers:
            self._log.error("shop_blocked", shop=shop.id, rules=",".join(now.rules), first=_first(now))
        soon = coming(shop, book, day, AHEAD_DAYS)
        for then in soon:
            day_text = then.day.isoformat()
            self._log.warning(
                "shop_will_be_blocked", shop=shop.id, on=day_text, rules=",".join(then.rules), first=_first(then)
            )
        return [*((now,) if now.blockers else ()), *soon]


def _first(found: Standing) -> str:
    one = found.blockers[0]
    return f"{one.field}: {one.reason}"


def _until_midnight_s(at: datetime) -> float:
    """Seconds to the next day in Paris, and one more."""
    tomorrow = datetime.combine(paris_date(at) + timedelta(days=1), time(), PARIS)
    return (tomorrow - at).total_seconds() + 1
