"""Settings of the tracking service: each field is the variable `RELANCE_TRACKING_<FIELD>`."""

from typing import Annotated, Literal

import msgspec

__all__ = ["Settings"]

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3_600)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Port 0 is any free port (it is logged)."""

    kafka: str = msgspec.field(name="RELANCE_KAFKA", default="127.0.0.1:9092")  # bootstrap servers
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # where it listens
    host: str = "127.0.0.1"
    port: Port = 8080
    grpc_port: Port = 8081
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 9101
    trusted_proxies: Annotated[int, msgspec.Meta(ge=0, le=8)] = 0  # how many of the last X-Forwarded-For hops are ours

    # the raw topic, read by a process of its own
    raw_topic: bool = True  # whether `shop-events` is read here
    raw_metrics_port: Port = 9103  # 9102 is the session service's
    raw_dead_letter_share_max: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1  # above it: an alarm
    raw_pauses: bool = False  # whether a partition is paused above that share

    # what it takes at once
    body_bytes_max: Positive = 1_048_576  # of an HTTP body, after inflation too
    event_bytes_max: Positive = 65_536
    events_max: Positive = 1_000  # in one request
    bodies_bytes_max: Positive = 268_435_456  # of all HTTP requests that are being answered; beyond it: 503
    grpc_message_bytes_max: Positive = 1_048_576
    grpc_calls_max: Positive = 1_024  # open at a time, streams included
    grpc_stream_in_flight_max: Positive = 64  # requests of one stream that wait for Kafka
    connections_max: Positive = 4_096
    requests_max: Positive = 2_048  # being answered at a time
    connections_per_address_max: Positive = 4_096

    # how long it waits
    header_timeout_s: Seconds = 10.0  # for a whole request head
    body_timeout_s: Seconds = 20.0  # for a whole body
    keep_alive_s: Seconds = 30.0
    request_deadline_s: Seconds = 10.0  # from the body read to Kafka's acknowledgement; then 503
    drain_s: Seconds = 20.0  # for what is in flight when the end begins

    # rates that are not a shop's own. Behind a proxy set trusted_proxies: else all its clients have one address
    refused_keys_per_second: Annotated[int, msgspec.Meta(ge=0)] = 20  # 401 and 403, per client address; 0: no limit
    browser_events_per_second: Positive = 50  # per client address
    browser_key_events_per_second: Positive = 2_000  # per publishable key, over all addresses

    # batches on their way to Kafka
    linger_ms: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 25
    batch_events_max: Positive = 5_000
    batch_bytes_max: Positive = 1_048_576
    queue_bytes_max: Positive = 134_217_728  # waiting for Kafka; beyond it: 503
    linked_max: Positive = 1_000_000  # remembered pairs of visitor id and UUID whose `identity.linked` was written
