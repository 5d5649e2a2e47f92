"""Visitors of a shop's pages: each once, of the shop and the days asked for, and since when the log says so."""

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from relance.cli.checkout_funnel import funnel_lines
from relance.cli.visitors import Visitors, count_visitors
from relance.events.batch import TICK
from relance.kernel.errors import InputError
from relance.kernel.instants import format_ms, to_ms
from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rules.law.calendar import first_instant

DAY = date(2026, 3, 2)
MIDNIGHT_MS = to_ms(first_instant(DAY))
DAY_MS = 86_400_000


class Message:
    def __init__(self, value: bytes, append_ms: int, offset: int) -> None:
        self._value, self._append_ms, self._offset = value, append_ms, offset

    def value(self) -> bytes:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return 2, self._append_ms

    def offset(self) -> int:
        return self._offset


def batch(*rows: tuple[str, str, int]) -> bytes:
    """A record of (shop, visitor, time)."""
    table = pa.table({
        "visitor": pa.array([visitor.encode().ljust(16, b".") for _, visitor, _ in rows], pa.binary(16)),
        "shop": pa.array([shop for shop, _, _ in rows]).dictionary_encode(),
        "time": pa.array([ms for _, _, ms in rows], pa.int64()),
    })  # fmt: skip
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[Message]]:
    """Records by partition."""
    held: dict[int, list[Message]] = {0: [], 1: []}

    def read(_kafka: str, place: tuple[str, int], **_given: Any) -> list[Message]:
        return held[place[1]]

    monkeypatch.setattr("relance.kafka.consumer.read_partition", read)
    monkeypatch.setattr("relance.kafka.admin.partition_count", lambda *_: len(held))
    return held


def test_a_visitor_counts_once_on_the_days_of_the_shop(log: dict[int, list[Message]]) -> None:
    first, last = MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS - 1
    rows = batch(
        ("demo", "a", first), ("demo", "a", last), ("demo", "b", first - 1), ("demo", "c", last + 1),
        ("other", "d", first),
    )  # fmt: skip
    log[0] = [Message(TICK, first, 0), Message(rows, first, 1)]
    log[1] = [Message(batch(("demo", "e", last), ("demo", "a", last)), last, 0)]
    assert count_visitors("kafka", "demo", DAY, DAY) == Visitors(2, "")


def test_a_log_that_begins_later_says_since_when_and_makes_no_conversion(log: dict[int, list[Message]]) -> None:
    begins = MIDNIGHT_MS + 3_600_000
    log[0] = [Message(batch(("demo", "a", begins)), begins, 77)]
    seen = count_visitors("kafka", "demo", DAY, DAY)
    assert seen == Visitors(1, format_ms(begins))
    said = {name: (number, share) for name, number, share in funnel_lines(pb.GetFunnelResponse(buyers=1), seen)}
    assert said["visitors of the shop's pages"] == ("1", f"since {format_ms(begins)} only")
    assert said["conversion"] == ("-", "of the shop's visitors")


def test_a_log_that_kept_all_of_the_days_gives_a_conversion(log: dict[int, list[Message]]) -> None:
    log[0] = [
        Message(TICK, MIDNIGHT_MS - 1, 500),
        Message(batch(("demo", "a", MIDNIGHT_MS), ("demo", "b", MIDNIGHT_MS)), MIDNIGHT_MS, 501),
    ]
    seen = count_visitors("kafka", "demo", DAY, DAY)
    assert seen == Visitors(2, "")
    said = {name: number for name, number, _ in funnel_lines(pb.GetFunnelResponse(buyers=1), seen)}
    assert said["conversion"] == "50.0 %"


def test_a_record_that_is_no_batch_is_said(log: dict[int, list[Message]]) -> None:
    log[0] = [Message(b"\xff\xff\xff\xffbroken", MIDNIGHT_MS, 0)]
    with pytest.raises(InputError, match="is no batch"):
        count_visitors("kafka", "demo", DAY, DAY)
