"""What checkout counts. Names: `relance_checkout_<thing>_<unit>`."""

from collections.abc import Collection, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["AfterMetrics", "CallMetrics", "DeskMetrics", "LawMetrics", "StandingMetrics"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class LawMetrics:
    """What is asked about the law, and how it was answered. One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "relance_checkout_law_calls_total", "Calls of LawService by method and gRPC status",
            ("method", "status"), registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "relance_checkout_law_seconds", "From a call's request to its answer",
            ("method",), buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.questions = Counter(
            "relance_checkout_law_questions_total", "Questions of Ask by kind and result: answered or refused",
            ("ask", "result"), registry=registry,
        )  # fmt: skip


class CallMetrics:
    """Calls of shops' backends, and how they ended. One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "relance_checkout_calls_total", "Calls of CheckoutService by method and gRPC status",
            ("method", "status"), registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "relance_checkout_call_seconds", "From a call's request to its answer",
            ("method",), buckets=_SECONDS, registry=registry,
        )  # fmt: skip


class DeskMetrics:
    """What the checkout does by itself: effects, timers, messages heard. One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.effects = Counter(
            "relance_checkout_effects_total", "Effects by kind and result: done, later or failed",
            ("kind", "result"), registry=registry,
        )  # fmt: skip
        self.timers = Counter(
            "relance_checkout_timers_total", "What time did, by what it was done to, and the result",
            ("what", "result"), registry=registry,
        )  # fmt: skip
        self.heard = Counter(
            "relance_checkout_heard_total", "Messages of the inbox, by result: heard or refused",
            ("result",), registry=registry,
        )  # fmt: skip
        self.relayed = Gauge(
            "relance_checkout_relayed_messages", "Messages that Kafka got of this process", registry=registry
        )
        self.outbox = Gauge(
            "relance_checkout_outbox_messages", "Messages in the outbox: waiting, or refused by Kafka for good",
            ("state",), registry=registry,
        )  # fmt: skip
        self.outbox_age = Gauge(
            "relance_checkout_outbox_age_seconds", "How long the oldest message waits", registry=registry
        )
        self.deaths = Counter(
            "relance_checkout_loop_deaths_total", "Loops that died and were begun again", ("loop",), registry=registry
        )
        self.sealed = Gauge(
            "relance_checkout_sealed_timestamp_seconds", "When evidence was sealed last", registry=registry
        )


class StandingMetrics:
    """How the stored shops stand before the law. One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.shops = Gauge(
            "relance_checkout_shops_blocked", "Shops that a rule of law keeps from selling: today, or soon",
            ("when",), registry=registry,
        )  # fmt: skip
        self.rules = Gauge(
            "relance_checkout_shop_rule_blocks", "1 for each rule that blocks a shop today, or will soon",
            ("shop", "rule", "when"), registry=registry,
        )  # fmt: skip
        self.tell(set())

    def tell(self, found: Collection[tuple[str, str, bool]]) -> None:
        """(shop, rule, whether it blocks today) of all shops: what was said before no longer holds."""
        self.rules.clear()
        for when, today in (("today", True), ("soon", False)):
            self.shops.labels(when).set(len({shop for shop, _, now in found if now == today}))
            for shop, rule in sorted({(shop, rule) for shop, rule, now in found if now == today}):
                self.rules.labels(shop, rule, when).set(1)


class AfterMetrics:
    """What waits for shops after their orders: alerts are made of these. One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, said: str) -> Gauge:
            return Gauge(f"relance_checkout_{name}", said, ("shop",), registry=registry)

        self._gauges = {
            # Names are stable: alert rules are made of them (deploy/alerts/checkout.rules.yaml, docs/aftercare.md).
            "soon": gauge("refunds_soon_count", "Refunds that the law wants within the shop's days of warning"),
            "late": gauge("refunds_late_count", "Refunds after their date, or paid but for what that costs"),
            "surcharge_minor": gauge("surcharge_today_cents", "What late refunds cost on top if they went today"),
            "missing": gauge("legal_rate_missing_count", "Late refunds of which the legal rate was not entered (B27)"),
            "deliveries_soon": gauge(
                "deliveries_soon_count", "Orders of which something is to come within the shop's days of warning (C01)"
            ),
            "notices": gauge(
                "delivery_notices_count", "Late orders whose consumer's extra time ends soon or is over (C03)"
            ),
            "claims_soon": gauge("claims_soon_count", "Guarantee claims to be put right within the days of warning"),
            "unconfirmed": gauge(
                "confirmations_missing_count",
                "Orders whose confirmation is on no durable medium: it does not leave, or came back",
            ),
            "unannounced": gauge(
                "renewals_unannounced_count", "Contracts in their window of notice that were not announced yet (B23)"
            ),
            "leavable": gauge(
                "renewals_missed_count", "Contracts renewed without a valid notice: they may be ended at any time (B23)"
            ),
            "deliveries": gauge("deliveries_late_count", "Orders of which goods are late"),
            "claims": gauge("claims_late_count", "Guarantee claims that were not put right in time"),
            "unacknowledged": gauge(
                "acknowledgements_unsent_count", "Withdrawals that wait more than a minute for their acknowledgement"
            ),
            "by_post": gauge(
                "acknowledgements_by_post_count",
                "Withdrawals that no mail acknowledges: it came back, or there is none",
            ),
            "strays": gauge("strays_open_count", "Withdrawals that name no order"),
            "failing": gauge(
                "orders_failing_count", "Orders, contracts and statements that cannot be read or looked at"
            ),
        }
        self._stuck = Gauge(
            "relance_checkout_work_stuck_count",
            "Work that was tried for more than a minute: print_paper, acknowledge (the confirmation), write_letter, …",
            ("shop", "kind"), registry=registry,
        )  # fmt: skip
        self._day = Gauge(
            "relance_checkout_day_timestamp_seconds", "By when all that has its day was done last", registry=registry
        )

    def tell_day(self, ran_at: datetime | None) -> None:
        """By when all that has its day was done last; None leaves what was said."""
        if ran_at is not None:
            self._day.set(ran_at.timestamp())

    def tell(self, shops: Mapping[str, Mapping[str, int]]) -> None:
        """Figures of each shop by name: what was said before no longer holds."""
        for gauge in self._gauges.values():
            gauge.clear()
        for shop, figures in shops.items():
            for name, gauge in self._gauges.items():
                gauge.labels(shop).set(figures[name])

    def tell_stuck(self, found: Mapping[tuple[str, str], int]) -> None:
        """Work that does not get done, by shop and kind: what was said before no longer holds."""
        self._stuck.clear()
        for (shop, kind), count in found.items():
            self._stuck.labels(shop, kind).set(count)
