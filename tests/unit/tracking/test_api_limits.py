import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tracking.api.limits import Buckets, OverRate


def admitted(buckets: Buckets, key: str, rate: float, now_s: float, events: int) -> bool:
    try:
        buckets.admit(key, rate, now_s)
    except OverRate:
        return False
    buckets.take(key, events, rate, now_s)
    return True


def test_a_full_batch_passes_and_its_debt_is_paid_off_first() -> None:
    buckets = Buckets()
    assert admitted(buckets, "shop", 10, 100.0, 1_000)
    with pytest.raises(OverRate) as raised:
        buckets.admit("shop", 10, 100.0)
    assert raised.value.retry_after_s == pytest.approx(99.1)
    assert not admitted(buckets, "shop", 10, 198.9, 1)
    assert admitted(buckets, "shop", 10, 199.1, 1)


def test_after_the_time_named_a_request_passes() -> None:
    buckets = Buckets()
    buckets.take("shop", 50, 7, 0.0)
    with pytest.raises(OverRate) as raised:
        buckets.admit("shop", 7, 0.0)
    buckets.admit("shop", 7, raised.value.retry_after_s)


def test_no_limit_and_other_keys_are_not_held_up() -> None:
    buckets = Buckets()
    assert all(admitted(buckets, "free", 0, 0.0, 10_000) for _ in range(10))
    assert admitted(buckets, "a", 1, 0.0, 100)
    assert not admitted(buckets, "a", 1, 0.0, 1)
    assert admitted(buckets, "b", 1, 0.0, 1)


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    buckets = Buckets()
    assert admitted(buckets, "a", 1, 100.0, 2)
    assert not admitted(buckets, "a", 1, 50.0, 1)


def test_the_number_of_buckets_is_bounded() -> None:
    buckets = Buckets(keys_max=10)
    for number in range(1_000):
        admitted(buckets, str(number), 5, 0.0, 1)
    assert len(buckets._buckets) == 10


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 30)), max_size=200), st.integers(1, 50))
def test_over_any_span_the_mean_exceeds_the_rate_by_one_burst_and_one_request_at_most(
    requests: list[tuple[float, int]], rate: int
) -> None:
    buckets = Buckets()
    now_s, passed = 0.0, 0
    for gap_s, events in requests:
        now_s += gap_s
        if admitted(buckets, "shop", rate, now_s, events):
            passed += events
    assert passed <= rate * now_s + rate + 30
