"""Orders that live for two years and longer, by the machine, the aftercare and its daily look, as their plans say."""

from collections.abc import Callable
from typing import Any

from services.checkout.domain import statements
from services.checkout.domain.attempts import News
from services.checkout.domain.orders import StartAttempt
from tests.properties.lived import Clock
from tests.properties.subscribed import Subscribed
from tests.reference.plans import Plan


class Life(Subscribed):
    """One order, from its click on."""

    def __init__(self, plan: Plan, clock: Clock, counted: dict[str, int], check: Callable[[Any], None]) -> None:
        super().__init__(plan, clock, counted, check)
        clock.call(plan.placed, self.begin)

    def begin(self) -> None:
        plan = self.plan
        assert self.act(StartAttempt(means="card", psp="simulator"))
        attempt = self.order.attempts[-1]
        paid = attempt.amount_minor
        news = News(attempt_id=attempt.id, status="captured", psp_at=self.clock.at, amount_minor=paid, psp_id="p")
        assert self.act(news)
        assert self.order.paid_at is not None
        if plan.informed != "yes":
            on = None if plan.informed == "never" else self.on
            self.sale.informed, self.sale.informed_on = False, on
            self.follow(statements.inform(self.order, self.after, statements.Inform(on=on), self.setting))
        self.subscribe()
        self.consumer()
        self.trader()
