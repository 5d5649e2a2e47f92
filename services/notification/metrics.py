"""What notification counts. Names: `relance_notification_<thing>_<unit>`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Metrics"]

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 43_200, 259_200)


class Metrics:
    """One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.heard = Counter(
            "relance_notification_requests_total", "Records of checkout.messages.v1: new, again or unreadable",
            ("result",), registry=registry,
        )  # fmt: skip
        self.outcomes = Counter(
            "relance_notification_outcomes_total", "Requests settled, by kind and outcome",
            ("kind", "outcome"), registry=registry,
        )  # fmt: skip
        self.attempts = Counter(
            "relance_notification_attempts_total", "Attempts that did not succeed, by class of failure",
            ("sort",), registry=registry,
        )  # fmt: skip
        self.uncertain = Counter(
            "relance_notification_uncertain_total",
            "Messages whose acceptance nobody knows: sent again, given up, or settled by a report",
            ("resolved",), registry=registry,
        )  # fmt: skip
        self.alerts = Counter(
            "relance_notification_alerts_total",
            "What a person should look at: hash_mismatch, unconfirmed, bounced_confirmation, suppressed, …",
            ("reason",), registry=registry,
        )  # fmt: skip
        self.reports = Counter(
            "relance_notification_reports_total", "Messages that came to a return path, by what they are",
            ("action",), registry=registry,
        )  # fmt: skip
        self.wording = Counter(
            "relance_notification_wording_total", "Bodies of checkout with words that may promote", registry=registry
        )
        self.seconds = Histogram(
            "relance_notification_delay_seconds", "From a request to its acceptance",
            ("kind",), buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.open = Gauge(
            "relance_notification_open_messages", "Requests that are not settled, by state", ("state",),
            registry=registry,
        )  # fmt: skip
        self.oldest = Gauge(
            "relance_notification_oldest_seconds", "Age of the oldest request that is not settled", registry=registry
        )
        self.unsaid = Gauge("relance_notification_outbox_rows", "What Kafka is still to be told", registry=registry)
