"""Tries that count from their beginning, so that who tries many at once is held to the same number."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from services.checkout.application.room import Room

HERE = "192.0.2.7"
ONE = UUID(int=1)


def room() -> Room:
    nothing: Any = None
    return Room(nothing, nothing, {}, clock=lambda: datetime(2026, 11, 23, 10, tzinfo=UTC))


def test_those_under_way_count_and_stay_counted_once_they_came_to_something() -> None:
    tries = room()
    with tries.trying(HERE, ONE) as counts, tries.trying(HERE, uuid4()):
        assert tries.counted(HERE) == 2
        counts()
    assert tries.counted(HERE) == 1


def test_fifty_clicks_on_one_button_are_one() -> None:
    tries = room()
    with tries.trying(HERE, ONE) as first:
        for _ in range(50):
            with tries.trying(HERE, ONE):
                assert tries.counted(HERE) == 1
        first()
    assert tries.counted(HERE) == 1
    with tries.trying(HERE, ONE), tries.trying(HERE, ONE) as second:
        second()
    assert tries.counted(HERE) == 2


def test_who_is_not_known_is_not_counted() -> None:
    tries = room()
    with tries.trying("", ONE) as counts:
        counts()
    assert tries.counted("") == 0
