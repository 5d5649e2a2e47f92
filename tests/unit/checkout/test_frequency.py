"""How often somebody tries."""

from datetime import UTC, datetime, timedelta

from services.checkout.application import frequency
from services.checkout.application.frequency import Frequency

AT = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_tries_count_for_an_hour_and_for_whom_they_were() -> None:
    tries = Frequency()
    for minute in (0, 30, 59):
        tries.count("a", AT + timedelta(minutes=minute))
    tries.count("b", AT)
    assert tries.of("a", AT + timedelta(minutes=59)) == 3
    assert tries.of("a", AT + timedelta(minutes=60)) == 2
    assert tries.of("b", AT + timedelta(minutes=59)) == 1
    assert tries.of("c", AT) == 0


def test_memory_is_bounded() -> None:
    tries = Frequency()
    for number in range(frequency._KNOWN_MAX + 10):
        tries.count(str(number), AT)
    assert tries.of("0", AT) == 0
    assert tries.of(str(frequency._KNOWN_MAX + 9), AT) == 1


def test_what_was_none_after_all_is_taken_back() -> None:
    tries = Frequency()
    tries.count("a", AT)
    tries.count("a", AT)
    tries.take_back("a")
    tries.take_back("b")
    assert tries.of("a", AT) == 1
    tries.take_back("a")
    tries.take_back("a")
    assert tries.of("a", AT) == 0


def test_who_has_not_tried_for_an_hour_is_forgotten() -> None:
    tries = Frequency()
    for number in range(10):
        tries.count(str(number), AT)
    tries.count("later", AT + timedelta(minutes=60))
    assert len(tries._seen) == 1
