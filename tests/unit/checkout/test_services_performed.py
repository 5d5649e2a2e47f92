"""When a service began and was performed, and what of it a statement may still undo."""

from datetime import date
from typing import Any

import pytest

from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.orders import Order
from services.checkout.domain.returns import PerformService, StartService
from services.checkout.domain.statements import step
from tests.unit.checkout.sold import at, cared, done, follow, line, ordered, refused, setting, sold, stated

Act = type[StartService] | type[PerformService]


def repair() -> tuple[Order, Aftercare]:
    acts: dict[str, Any] = {"requested_at": at("2026-03-02T10:00"), "loss_at": at("2026-03-02T10:00")}
    return ordered(line(), delivery_minor=0), cared(sold(kind="service", exception=1, exception_shown=True, **acts))


@pytest.mark.parametrize(
    ("when", "outcome"), [("2026-03-09T23:59:59", "accepted"), ("2026-03-10T00:00:00", "excepted")]
)
def test_what_is_performed_on_the_day_of_the_statement_is_not_performed_before_it(when: str, outcome: str) -> None:
    order, made = repair()
    _, performed, _ = follow(order, made, PerformService(line_id="1", on=date(2026, 3, 9)), "2026-03-09T20:00")
    _, after, _ = follow(order, performed, stated(when), when)
    assert [one.outcome for one in after.statements[0].decisions] == [outcome]


@pytest.mark.parametrize("act", [StartService, PerformService])
def test_nothing_is_performed_before_the_contract(act: Act) -> None:
    order, made = repair()
    found = refused(step(order, made, act(line_id="1", on=date(2026, 3, 1)), setting("2026-03-09T10:00")))
    assert (found.field, found.rule) == ("on", "B25")
    done(step(order, made, act(line_id="1", on=date(2026, 3, 2)), setting("2026-03-09T10:00")))


@pytest.mark.parametrize("act", [StartService, PerformService])
def test_a_day_by_which_a_statement_was_decided_stays(act: Act) -> None:
    order, made = repair()
    _, known, _ = follow(order, made, act(line_id="1", on=date(2026, 3, 5)), "2026-03-05T10:00")
    _, known, _ = follow(order, known, act(line_id="1", on=date(2026, 3, 6)), "2026-03-06T10:00")
    order, after, _ = follow(order, known, stated("2026-03-06T12:00"), "2026-03-06T12:00")
    found = refused(step(order, after, act(line_id="1", on=date(2026, 3, 3)), setting("2026-03-07T10:00")))
    assert (found.field, found.rule) == ("on", "B25")
    same = done(step(order, after, act(line_id="1", on=date(2026, 3, 6)), setting("2026-03-07T10:00")))
    assert same.after == after
