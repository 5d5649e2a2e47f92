"""What tracking counts. Names: `relance_tracking_<thing>_<unit>`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["EdgeMetrics", "Metrics", "ReaderMetrics"]

_DELAYS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One per process, on that process's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"relance_tracking_{name}", words, labels, registry=registry)

        self.events = counter("events_total", "Events by entry (http, grpc, raw, ...) and outcome", "entry", "outcome")
        self.rows = counter("rows_total", "Rows acknowledged in tracking.batches.v1")
        self.records = counter("records_total", "Records acknowledged in tracking.batches.v1")
        self.record_bytes = counter("record_bytes_total", "Bytes of those records before Kafka's compression")
        self.facts = counter("facts_total", "Facts acknowledged in tracking.facts.v1")
        self.failures = counter("delivery_failures_total", "Messages that Kafka did not take", "topic")
        self.turned_away = counter("turned_away_total", "Submissions refused because too much waits for Kafka")
        self.dead_letters = counter("dead_letters_total", "Events of the raw topic that were refused")
        self.paused = Gauge(
            "relance_tracking_paused_partitions",
            "Raw partitions paused for their share of dead letters",
            registry=registry,
        )
        self.dead_letter_alarm = Gauge(
            "relance_tracking_dead_letter_alarm", "1: the share of dead letters is above its limit",
            ("partition",), registry=registry,
        )  # fmt: skip
        self.in_flight = Gauge("relance_tracking_in_flight_bytes", "Bytes that wait for Kafka", registry=registry)
        self.acknowledged = Histogram(
            "relance_tracking_acknowledgement_seconds", "From a flush to Kafka's last acknowledgement of it",
            buckets=_DELAYS_S, registry=registry,
        )  # fmt: skip


class ReaderMetrics:
    """How the process of the raw topic does, as the service sees it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.down = Gauge(
            "relance_tracking_raw_reader_down", "1: the process that reads the raw topic has ended", registry=registry
        )
        self.restarts = Counter(
            "relance_tracking_raw_reader_restarts_total", "How often it was started again", registry=registry
        )


class EdgeMetrics:
    """What is asked over HTTP and gRPC, and how it was answered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "relance_tracking_requests_total", "Requests by edge and status: HTTP's number or gRPC's name",
            ("edge", "status"), registry=registry,
        )  # fmt: skip
        self.request_seconds = Histogram(
            "relance_tracking_request_seconds", "From a request's head to its answer, Kafka's acknowledgement included",
            ("edge",), buckets=_DELAYS_S, registry=registry,
        )  # fmt: skip
        self.connections = Gauge("relance_tracking_connections", "Open HTTP connections", registry=registry)
        self.waiting = Gauge("relance_tracking_waiting_requests", "Requests that wait for Kafka", registry=registry)
