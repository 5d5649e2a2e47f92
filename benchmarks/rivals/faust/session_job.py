"""Plain Faust: an agent, a table of sessions, and a timer that closes what is due; Faust itself has no session windows.

Settings come from BENCH_* variables; tuned as its documentation advises: uvloop, a larger stream buffer and fetches,
producer linger and compression. Deadlines are lazy: one entry a session, looked at again when it comes up.
"""

import heapq
import os
from datetime import datetime
from typing import Any

import faust

GAP_MS = round(float(os.environ["BENCH_GAP"]) * 1000)
GRACE_MS = round(float(os.environ["BENCH_GRACE"]) * 1000)
BIG_CART_MINOR = 50_000

app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['BENCH_KAFKA']}",
    store="memory://",
    datadir=os.environ["BENCH_STATE"],
    web_enabled=False,
    topic_partitions=1,
    topic_replication_factor=1,
    topic_allow_declare=True,
    topic_disable_leader=True,
    table_standby_replicas=0,
    stream_buffer_maxsize=8192,
    broker_max_poll_records=5000,
    consumer_max_fetch_size=4_194_304,
    broker_check_crcs=False,
    producer_linger=0.05,
    producer_max_batch_size=262_144,
    producer_compression_type="lz4",
)
events = app.topic(os.environ["BENCH_INPUT"], key_type=bytes, value_serializer="json")
output = app.topic(os.environ["BENCH_OUTPUT"], value_serializer="json")
sessions = app.Table(
    "sessions", partitions=1, use_partitioner=True
)  # visitor: [events, total_minor, first and last event, ms]

due: list[tuple[int, str]] = []
newest_ms = 0


@app.agent(events)
async def read(stream: Any) -> None:
    """Count each event into its visitor's session."""
    global newest_ms  # noqa: PLW0603 - the event time of the one partition
    async for event in stream:
        visitor = event["visitorid"]
        time_ms = round(datetime.fromisoformat(event["time"]).timestamp() * 1000)
        total_minor = event["data"].get("total_minor", 0)
        session = sessions.get(visitor)
        if session is None:
            sessions[visitor] = [1, total_minor, time_ms, time_ms]
            heapq.heappush(due, (time_ms + GAP_MS + GRACE_MS, visitor))
        else:
            count, top, first_ms, last_ms = session
            sessions[visitor] = [count + 1, max(top, total_minor), min(first_ms, time_ms), max(last_ms, time_ms)]
        newest_ms = max(newest_ms, time_ms)


@app.timer(interval=0.2)
async def close() -> None:
    """Say what has ended by event time."""
    while due and due[0][0] <= newest_ms:
        _, visitor = heapq.heappop(due)
        count, total_minor, first_ms, last_ms = sessions[visitor]
        if last_ms + GAP_MS + GRACE_MS > newest_ms:
            heapq.heappush(due, (last_ms + GAP_MS + GRACE_MS, visitor))
            continue
        row = {
            "kind": "ended", "visitor": visitor, "events": count, "total_minor": total_minor or None,
            "session_start": first_ms, "session_end": last_ms,
        }  # fmt: skip
        await output.send(key=visitor, value=row)
        if total_minor >= BIG_CART_MINOR:
            await output.send(key=visitor, value={**row, "kind": "abandoned"})
        del sessions[visitor]


if __name__ == "__main__":
    app.main()
