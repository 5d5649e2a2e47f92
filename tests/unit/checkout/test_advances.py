"""Money that was paid in advance for a contract: what is recorded of it, and what of it goes back."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relance.rules.law.goods import Subscription
from services.checkout.domain.aftercare import Due
from services.checkout.domain.contracts import Advance, Contract, Terminate, Termination, record_advance, unused_minor
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.renewals import Looked, advanced, ended
from tests.unit.checkout.sold import PARIS, cared, setting
from tests.unit.checkout.test_renewals import MONTHLY, contract


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("minor", {"minor": 0}),
        ("paid_on", {"paid_on": date(2026, 2, 28)}),
        ("paid_on", {"paid_on": date(2026, 4, 2)}),
        ("from_on", {"from_on": date(2026, 2, 28)}),
        ("until_on", {"until_on": date(2026, 3, 31)}),
        ("", {}),
    ],
)
def test_an_advance_was_paid_for_days_of_the_contract(field: str, told: dict[str, Any]) -> None:
    _, of = contract(MONTHLY)
    paid: dict[str, Any] = {"id": "a", "paid_on": date(2026, 4, 1), "minor": 1, "from_on": date(2026, 4, 1),
                            "until_on": date(2026, 4, 1)}  # fmt: skip
    found = record_advance(of, Advance(**(paid | told)), date(2026, 4, 1))
    if not field:
        assert isinstance(found, Contract)
        return
    assert isinstance(found, Refusal)
    assert (found.field, found.rule, found.article) == (field, "B23", "L215-1 al. 3")


ADVANCES = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 120), st.integers(1, 99_999)), min_size=1, max_size=5
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(paid=ADVANCES, asked=st.integers(0, 400), later=st.integers(0, 200), before=st.integers(0, 5))
def test_what_goes_back_is_the_unused_part_however_it_is_told(
    paid: list[tuple[int, int, int]], asked: int, later: int, before: int
) -> None:
    """Advances told before the termination or after it, and a second termination, owe the same in all."""
    _, of = contract(Subscription())
    began = of.started_on
    advances = [
        Advance(id=f"a{place}", paid_on=began, minor=minor, from_on=began + timedelta(days=first),
                until_on=began + timedelta(days=first + days))
        for place, (first, days, minor) in enumerate(paid)
    ]  # fmt: skip
    dues: list[Due | None] = []
    day = began + timedelta(days=asked)
    for one in advances[:before]:
        of = record_advance(of, one, day)  # type: ignore[assignment]
    now = datetime(day.year, day.month, day.day, 12, tzinfo=PARIS)
    for id_, wished in (("t1", day + timedelta(days=later)), ("t2", None)):
        found = ended(of, cared(), Terminate(id=id_, asked_at=now, wished_on=wished), setting(now))
        assert isinstance(found, Looked)
        of, dues = found.contract, [*dues, found.due]
    for one in advances[before:]:
        told = advanced(of, cared(), one, setting(now))
        assert isinstance(told, Looked)
        of, dues = told.contract, [*dues, told.due]
    left_by = of.termination
    assert isinstance(left_by, Termination)
    assert left_by.ends_on == day
    owed = sum(one.amount_minor for one in dues if one is not None)
    assert owed == unused_minor(of, day) == left_by.due_minor
    assert 0 <= owed <= sum(one.minor for one in advances)
