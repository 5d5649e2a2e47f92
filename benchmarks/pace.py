"""Writes a workload's events to the raw topic at an even rate: `python -m benchmarks.pace KAFKA FILE RATE SECONDS`."""

import sys
import time
from typing import Final

from confluent_kafka import Producer

from benchmarks.workload import EVENT_BYTES, VISITOR
from relance.events.topics import RAW

__all__ = ["pace"]

_STEP_S: Final = 0.005


def pace(kafka: str, file: str, rate: float, seconds: float) -> float:
    """Write `rate` events a second for `seconds`; returns by how many seconds the writer was late at worst.

    Raises EOFError when the file is too short.
    """
    producer = Producer(
        {
            "bootstrap.servers": kafka, "compression.type": "lz4", "linger.ms": 2, "acks": "all", "log_level": 2,
            "queue.buffering.max.messages": 1_000_000,
        }
    )  # fmt: skip
    began = time.monotonic()
    sent = 0
    total = int(rate * seconds)
    late_s = 0.0
    with open(file, "rb", buffering=1 << 20) as log:  # noqa: PTH123 - the buffer is the point
        while sent < total:
            now_s = time.monotonic() - began
            wanted = min(int(now_s * rate), total)
            late_s = max(late_s, (wanted - sent) / rate - _STEP_S)
            for _ in range(wanted - sent):
                row = log.read(EVENT_BYTES)
                if len(row) < EVENT_BYTES:
                    raise EOFError(file)
                producer.produce(RAW.name, value=row, key=row[VISITOR], partition=0)
            sent = wanted
            producer.poll(0)
            time.sleep(_STEP_S)
    producer.flush(30)
    return late_s


if __name__ == "__main__":
    print(pace(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])))
