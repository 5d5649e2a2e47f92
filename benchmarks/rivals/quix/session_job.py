"""Quix Streams session windows: one JSON result when a session closes, one more when its cart came to 500 EUR.

Settings come from BENCH_* variables. `closing_strategy="partition"`, so that the sessions of silent visitors close at
all; each step of event time then costs a pass over all stored keys, so event time moves in whole seconds. The topic is
keyed by visitor already, which spares a repartition topic.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from quixstreams import Application
from quixstreams.dataframe.windows.aggregations import Count, Max

BIG_CART_MINOR = 50_000


def event_time(value: dict[str, Any], _headers: object, _timestamp: float, _kind: object) -> int:
    """The event's own time, in milliseconds, cut to the second."""
    return int(datetime.fromisoformat(value["time"]).timestamp()) * 1000


def slim(value: dict[str, Any]) -> dict[str, Any]:
    """What the window needs."""
    return {"total_minor": value["data"].get("total_minor", 0)}


def results(value: dict[str, Any], key: str, _timestamp: int, _headers: object) -> Iterator[dict[str, Any]]:
    """What a closed session says."""
    row = {
        "kind": "ended", "visitor": key, "events": value["events"], "total_minor": value["total_minor"] or None,
        "session_start": value["start"], "session_end": value["end"],
    }  # fmt: skip
    yield row
    if value["total_minor"] >= BIG_CART_MINOR:
        yield {**row, "kind": "abandoned"}


def main() -> None:
    """Run until SIGTERM."""
    app = Application(
        broker_address=os.environ["BENCH_KAFKA"],
        consumer_group=os.environ["BENCH_GROUP"],
        state_dir=os.environ["BENCH_STATE"],
        auto_offset_reset="earliest",
        commit_interval=5.0,
        loglevel="WARNING",
        consumer_extra_config={"fetch.min.bytes": 262_144, "queued.max.messages.kbytes": 262_144, "check.crcs": False},
        producer_extra_config={"linger.ms": 50, "batch.size": 262_144, "compression.type": "lz4"},
    )
    events = app.topic(
        os.environ["BENCH_INPUT"], key_deserializer="str", value_deserializer="json", timestamp_extractor=event_time
    )
    output = app.topic(os.environ["BENCH_OUTPUT"], key_serializer="str", value_serializer="json")
    stream = app.dataframe(events).apply(slim)
    windows = stream.session_window(
        round(float(os.environ["BENCH_GAP"]) * 1000), grace_ms=round(float(os.environ["BENCH_GRACE"]) * 1000)
    )
    closed = windows.agg(events=Count(), total_minor=Max("total_minor")).final(closing_strategy="partition")
    closed.apply(results, metadata=True, expand=True).to_topic(output)
    app.run()


if __name__ == "__main__":
    main()
