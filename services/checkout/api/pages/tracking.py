"""Where the goods of an order are, until when they are due, and what can be done while they are late."""

from collections.abc import Mapping
from datetime import date, timedelta
from secrets import token_urlsafe
from typing import Final, NamedTuple

import msgspec
from starlette.responses import Response

from relance.rules.law.calendar import paris_date
from relance.rules.law.terms import parameters
from services.checkout.api.pages.frames import shop_frame
from services.checkout.api.pages.ordered import INCIDENTS, Seen, number_of
from services.checkout.api.pages.reaching import Reach
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.visits import Parts, Visit, see_other
from services.checkout.api.pages.walking import stale_notice
from services.checkout.api.pages.wording import N_, Problem
from services.checkout.application.aftercaring import AfterView
from services.checkout.domain.aftercare import LateNotice, Resolved
from services.checkout.domain.lateness import here
from services.checkout.domain.orders import ENDED, Parcel
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.promises import Late, NotifyLate, ResolveLate, Suspend, late, latest

__all__ = ["Tracking", "day_of"]

_NONCE_MAX: Final = 64
_LONGEST: Final = timedelta(days=366)  # of extra time: whoever mistypes the year would wait for ever

_NOT_ENDED: Final = (  # how the reason begins that the law gives
    ("delivered", N_("the articles had been delivered")),
    ("delivery is not late", N_("delivery was not late yet")),
    ("no notice", N_("no extra time had been given before: give it first")),
    ("the notice was given before", N_("the extra time was given before delivery was late: give it again")),
    ("the extra time", N_("the extra time that you gave has not passed")),
)
_GOES_ON: Final = N_("nothing of it was still to come")


class ParcelFace(NamedTuple):
    """A parcel as shown. `events`: what befell it, with its times."""

    title: str
    things: tuple[str, ...]
    events: tuple[str, ...]
    url: str


class Tracking:
    """The page of delivery."""

    def __init__(self, parts: Parts, reach: Reach) -> None:
        self.parts = parts
        self._reach = reach

    async def show(self, visit: Visit) -> Response:
        """Parcels, dates, and what is late."""
        seen = await self._reach.order(visit)
        return seen if isinstance(seen, Response) else await self._page(visit, seen)

    async def act(self, visit: Visit) -> Response:
        """One of the rights that lateness gives: hold back payment, give extra time, end the contract."""
        seen = await self._reach.order(visit)
        if isinstance(seen, Response):
            return seen
        if not self.parts.honest(visit, seen.secret):
            return await self._page(visit, seen, stale=True)
        said = " ".join(visit.form.text(name) for name in ("act", "until", "nonce"))
        if wait := self.parts.pace.wait_s(f"delivery {seen.view.order.id}", said):
            return self.parts.slow_down(visit, wait)
        done = await self._done(visit, seen)
        if isinstance(done, Problem):
            return await self._page(visit, seen, [done])
        return see_other(f"{seen.here}/delivery")

    async def _done(self, visit: Visit, seen: Seen) -> AfterView | Problem:
        desk, shop, order_id, tongue = self.parts.desk, seen.view.shop.id, seen.view.order.id, seen.tongue
        at, wished, click = desk.clock(), visit.form.text("act"), visit.form.text("nonce")[:_NONCE_MAX]
        if wished == "notice":
            typed = visit.form.text("until")
            until = day_of(typed)
            if typed and until is None:
                return Problem("until", tongue.say("Enter a day, such as 24/12/2026."))
            if until is not None and until > at.date() + _LONGEST:
                return Problem("until", tongue.say("The extra time ends within a year."))
            notice = NotifyLate(at=at, until=until, medium="web", click=click)
            found = await desk.notify_late(shop, order_id, notice)
            if isinstance(found, Refusal) and found.field == "until":
                return Problem("until", tongue.say("The extra time ends today at the earliest."))
        elif wished == "resolve":
            found = await desk.resolve_late(shop, order_id, ResolveLate(received_at=at, medium="web", click=click))
        elif wished in {"suspend", "resume"}:
            found = await desk.suspend(shop, order_id, Suspend(on=wished == "suspend"))
        else:
            found = await desk.aftercare(shop, order_id)
        if isinstance(found, Refusal):
            law = f"{found.rule}, {found.article}" if found.rule else ""
            return Problem("", tongue.say("This is not possible as the order stands now."), law)
        return found

    async def _page(
        self, visit: Visit, seen: Seen, errors: list[Problem] | None = None, *, stale: bool = False
    ) -> Response:  # fmt: skip
        view = await self.parts.desk.aftercare(seen.view.shop.id, seen.view.order.id)
        if isinstance(view, Refusal):
            return self.parts.unknown(visit)
        tongue, order = seen.tongue, view.order_view.order
        title = tongue.say("Delivery of order %(number)s", number=number_of(seen.view))
        frame = shop_frame(
            seen.view.shop, tongue, title, secret=self.parts.keys.form_token(seen.secret),
            reference=number_of(seen.view), said=(errors or [], [stale_notice(tongue)] if stale else []),
        )  # fmt: skip
        lines = _lines(view, tongue)
        is_late = late(order, view.after, view.setting.on, view.setting.book)
        body = self.parts.painter.paint(
            "tracking", frame,
            headline=title,
            here=seen.here,
            parcels=[_parcel(one, _names(view), tongue) for one in order.parcels],
            lines=lines,
            awaited=any(line["awaited"] for line in lines),
            late=_late_words(is_late, _names(view), tongue),
            held=order.held_at is not None,
            over=order.state in ENDED,
            can_hold=bool(is_late) and order.paid_at is None and order.state not in ENDED,
            until=visit.form.text("until"),
            days=view.setting.terms.reasonable_days,
            law=_law(view),
            email=seen.view.shop.trader.email,
            said=_said(view, tongue),
            nonce=token_urlsafe(16),
        )  # fmt: skip
        return self.parts.painter.respond(body, frame, 403 if stale else 422 if errors else 200)


class _Days(msgspec.Struct, frozen=True):
    days: int


def _law(view: AfterView) -> dict[str, int]:
    """The days of the law: to deliver when none were agreed on (L216-1), to give back what was paid (L216-7)."""
    book, order = view.setting.book, view.order_view.order
    concluded_on = paris_date(order.concluded_at or order.placed_at)
    return {
        "days": parameters(book, "C01", concluded_on, _Days).days,
        "refund_days": parameters(book, "C05", view.setting.on, _Days).days,
    }


def _names(view: AfterView) -> dict[str, str]:
    return {line.id: line.name for line in view.order_view.order.lines}


def day_of(text: str) -> date | None:
    """A day as browsers send it, or as people write it in France."""
    try:
        parts = text.replace(".", "/").split("/")
        return date.fromisoformat(text if len(parts) != 3 else f"{parts[2]}-{parts[1]:0>2}-{parts[0]:0>2}")
    except ValueError:
        return None


def _counted(units: Mapping[str, int], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{names[id_]} ({count})" if count > 1 else names[id_] for id_, count in units.items() if id_ in names and count
    )


def _parcel(parcel: Parcel, names: Mapping[str, str], tongue: Tongue) -> ParcelFace:
    events = [tongue.say("sent on %(when)s", when=tongue.moment(parcel.shipped_at))]
    if parcel.deposited_at is not None and parcel.received_at is None:
        when = tongue.moment(parcel.deposited_at)
        events.append(tongue.say("waits for you since %(when)s; it is yours once you have it in hand", when=when))
    if parcel.received_at is not None:
        events.append(tongue.say("received on %(when)s", when=tongue.moment(parcel.received_at)))
    if parcel.incident:
        events.append(tongue.say(INCIDENTS[parcel.incident]))
    return ParcelFace(
        title=tongue.say("Parcel %(number)s", number=parcel.id) + (f" · {parcel.carrier}" if parcel.carrier else ""),
        things=_counted(parcel.units, names),
        events=tuple(events),
        url=parcel.tracking_url if parcel.tracking_url.startswith("https://") else "",
    )


def _lines(view: AfterView, tongue: Tongue) -> list[dict[str, str | bool]]:
    """What is to be delivered, until when, and what the day follows from."""
    order, after = view.order_view.order, view.after
    if order.state in ENDED:
        return []
    days = latest(order, after, view.setting.book)
    found = list[dict[str, str | bool]]()
    for line in order.lines:
        sold = after.line(line.id)
        if sold is None or line.id not in days or line.quantity <= line.withdrawn + line.ended:
            continue
        day = tongue.day(days[line.id])
        if sold.essential:
            text = tongue.say("by %(day)s, a day that matters to you", day=day)
        elif sold.promised_on is not None:
            text = tongue.say("by %(day)s at the latest, as promised", day=day)
        else:
            text = tongue.say(
                "by %(day)s at the latest, %(count)s days from the order (L216-1)", day=day, count=_law(view)["days"]
            )
        has_come = here(after, line)
        if has_come:
            text = tongue.say("received") if sold.kind == "goods" else tongue.say("supplied")
        found.append({"name": line.name, "text": text, "awaited": not has_come})
    return found


def _late_words(found: tuple[Late, ...], names: Mapping[str, str], tongue: Tongue) -> list[str]:
    """What is late, line by line."""
    said = []
    for one in found:
        name = f"{names[one.line_id]} ({one.units})" if one.units > 1 else names[one.line_id]
        said.append(tongue.say("%(name)s: was due on %(day)s", name=name, day=tongue.date(one.latest_on)))
    return said


def _said(view: AfterView, tongue: Tongue) -> list[str]:
    """What was said about delivery until now, in the order of time."""
    names = _names(view)
    notices = [(one.at, _notice(one, tongue)) for one in view.after.late_notices]
    ended = [(one.received_at, _resolved(one, names, tongue)) for one in view.after.resolutions]
    return [text for _, text in sorted([*notices, *ended])]


def _notice(one: LateNotice, tongue: Tongue) -> str:
    day, when = tongue.date(one.until), tongue.dated(one.at)
    return tongue.say("Extra time until %(day)s, given on %(when)s", day=day, when=when)


def _resolved(one: Resolved, names: Mapping[str, str], tongue: Tongue) -> str:
    when = tongue.dated(one.received_at)
    if one.resolved:
        things = ", ".join(_counted(one.units, names))
        return tongue.say("Contract ended on %(when)s for: %(things)s", when=when, things=things)
    why = next((text for begins, text in _NOT_ENDED if one.reason.startswith(begins)), _GOES_ON)
    return tongue.say("End of the contract asked for on %(when)s; it goes on: %(why)s", when=when, why=tongue.say(why))
