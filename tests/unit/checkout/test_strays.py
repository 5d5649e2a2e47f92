"""A statement that matched no order has its end: five years, and a year once it is closed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.rules.law.calendar import after_months, first_instant_after, paris_date
from services.checkout.domain.aftercare import Stray
from services.checkout.domain.strays import forgotten_at
from tests.unit.checkout.sold import at

INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def stray(recorded: datetime, state: str = "open") -> Stray:
    return Stray(
        id="s", shop="lumen", stated_at=recorded, recorded_at=recorded, content="", subject="stray-s", state=state  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "recorded", "seen", "until"),
    [
        ("open", "2026-06-19 12:00", "2026-06-19 13:00", "2031-06-20 00:00"),
        ("matched", "2026-06-19 12:00", "2030-01-01 13:00", "2031-06-20 00:00"),
        ("open", "2028-02-29 23:59", "2028-03-01 00:10", "2033-03-01 00:00"),
        ("closed", "2026-06-19 12:00", "2026-07-01 09:00", "2027-07-02 00:00"),
        ("closed", "2026-06-19 12:00", "2031-06-10 09:00", "2031-06-20 00:00"),
    ],
)
def test_its_last_day(state: str, recorded: str, seen: str, until: str) -> None:
    assert forgotten_at(stray(at(recorded), state), at(seen)) == at(until)


@given(recorded=INSTANTS, later=st.integers(0, 4_000), state=st.sampled_from(["open", "matched", "closed"]))
def test_none_is_kept_for_ever_and_none_goes_while_it_may_be_asked_for(
    recorded: datetime, later: int, state: str
) -> None:
    seen = recorded + timedelta(days=later)
    found = forgotten_at(stray(recorded, state), seen)
    assert found <= first_instant_after(after_months(paris_date(recorded), 60))
    assert state == "closed" or paris_date(found - timedelta(seconds=1)) == after_months(paris_date(recorded), 60)
    assert found > min(seen, recorded + timedelta(days=5 * 365)) or later > 5 * 365
