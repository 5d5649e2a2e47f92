"""Reports of delivery, taken in: each settles or changes what is known of one request."""

from collections.abc import Callable

from relance.observability.logs import logger
from services.notification.domain.deliveries import FINAL
from services.notification.domain.failures import suppresses
from services.notification.domain.kinds import Kinds
from services.notification.domain.reports import failure_of, read_report
from services.notification.metrics import Metrics
from services.notification.store.ledger import Ledger

__all__ = ["Reporting"]


class Reporting:
    """Takes in what comes to return paths."""

    def __init__(
        self, ledger: Ledger, kinds: Kinds, secret: bytes, metrics: Metrics, now_ms: Callable[[], int]
    ) -> None:
        self._ledger = ledger
        self._kinds = kinds
        self._secret = secret
        self._metrics = metrics
        self._now_ms = now_ms
        self._log = logger("reporting")

    async def take(self, raw: bytes) -> str:
        """Take in one message; returns what it is: an action, or `other` for what says nothing of a request of ours
        (a vacation notice, spam, a forged return path). Taken in twice it changes nothing. Raises NotNow.
        """
        report = read_report(raw, self._secret)
        if report is None:
            self._metrics.reports.labels("other").inc()
            return "other"
        self._metrics.reports.labels(report.action).inc()
        failure = failure_of(report) if report.action == "failed" else None
        before = await self._ledger.report(
            report.request, self._now_ms(), failure, suppress=failure is not None and suppresses(failure)
        )
        if before is None:
            return report.action
        if before.state not in FINAL and before.message_id:
            self._metrics.uncertain.labels("report").inc()
        self._log.info("report", request=str(report.request), action=report.action, status=report.status)
        if failure is not None and before.state == "accepted":
            self._metrics.outcomes.labels(before.kind, "bounced").inc()
            kind = self._kinds.get(before.kind)
            reason = "bounced_confirmation" if kind is not None and kind.alerts else failure.sort
            self._metrics.alerts.labels(reason).inc()
            self._log.error("alert", reason=reason, request=str(report.request), shop=before.shop, kind=before.kind)
        return report.action
