"""A click that comes twice is one act; another click, or the same page on another day, is another one."""

from datetime import date

from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.promises import DeliveryAct, NotifyLate, ResolveLate, step
from tests.unit.checkout.sold import at, cared, done, line, ordered, setting, sold

PROMISED = date(2026, 3, 10)


def acted(after: Aftercare, act: DeliveryAct, now: str) -> Aftercare:
    return done(step(ordered(line()), after, act, setting(now))).after


def notice(now: str, click: str = "abc", until: date = date(2026, 3, 29)) -> NotifyLate:
    return NotifyLate(at=at(now), until=until, medium="web", click=click)


def ends(now: str, click: str = "abc") -> ResolveLate:
    return ResolveLate(received_at=at(now), medium="web", click=click)


def test_the_same_click_twice_is_one_notice() -> None:
    once = acted(cared(sold(promised_on=PROMISED)), notice("2026-03-12T10:00:00"), "2026-03-12T10:00:00")
    found = done(step(ordered(line()), once, notice("2026-03-12T10:00:01"), setting("2026-03-12T10:00:01")))
    assert (found.after, found.letters, found.noted) == (once, (), ())
    for other in (notice("2026-03-12T10:00:02", "def"), notice("2026-03-12T10:00:02", until=date(2026, 3, 30))):
        assert len(acted(once, other, "2026-03-12T10:00:02").late_notices) == 2, "what he corrects counts"


def test_the_same_click_twice_is_one_resolution() -> None:
    once = acted(cared(sold(promised_on=PROMISED)), ends("2026-03-12T10:00:00"), "2026-03-12T10:00:00")
    assert [one.resolved for one in once.resolutions] == [False]
    found = done(step(ordered(line()), once, ends("2026-03-12T10:00:01"), setting("2026-03-12T10:00:01")))
    assert (found.after, found.letters, found.noted) == (once, (), ())
    assert len(acted(once, ends("2026-03-12T10:00:02", "def"), "2026-03-12T10:00:02").resolutions) == 2
    assert len(acted(once, ends("2026-03-30T10:00"), "2026-03-30T10:00").resolutions) == 2, "an old page counts anew"
