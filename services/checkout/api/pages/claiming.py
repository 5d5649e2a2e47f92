"""Claims under the legal guarantee: which article, what is wrong, what is asked for; and what became of them."""

from secrets import token_urlsafe
from typing import Final, get_args
from uuid import uuid5

from starlette.responses import Response

from services.checkout.api.pages.bounds import SAID_MAX
from services.checkout.api.pages.facts import legal_url
from services.checkout.api.pages.frames import shop_frame
from services.checkout.api.pages.ordered import Seen, number_of
from services.checkout.api.pages.reaching import Reach
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.visits import Parts, Visit, see_other
from services.checkout.api.pages.walking import stale_notice
from services.checkout.api.pages.withdrawing import said_once
from services.checkout.api.pages.wording import N_, Problem
from services.checkout.application.aftercaring import AfterView, Words
from services.checkout.domain.aftercare import Claim
from services.checkout.domain.claims import OpenClaim
from services.checkout.domain.guarantees import OPEN, Remedy, choices, claimable, guarantee_until, right_until
from services.checkout.domain.outcomes import Refusal

__all__ = ["Claiming"]

_NONCE_MAX: Final = 64
_REMEDIES: Final = {
    "repair": N_("repair"),
    "replacement": N_("replacement"),
    "reduction": N_("a lower price"),
    "resolution": N_("the end of the sale and your money back"),
}
_STATES: Final = {
    "opened": N_("received, to be answered"),
    "taken": N_("accepted"),
    "repaired": N_("repaired"),
    "replaced": N_("replaced"),
    "reduced": N_("the price was lowered"),
    "resolved": N_("the sale was ended"),
    "refused": N_("refused"),
    "gone": N_("closed: the article went back"),
}
_REFUSED: Final = {
    "after_end": N_("the guarantee had ended"),
    "no_defect": N_("no fault was found"),
    "damaged_later": N_("it was damaged after delivery"),
    "minor": N_("the fault is minor"),
}


class Claiming:
    """The page of claims, for whom the order is shown in full."""

    def __init__(self, parts: Parts, reach: Reach) -> None:
        self.parts = parts
        self._reach = reach

    async def show(self, visit: Visit) -> Response:
        """What can be claimed, and what was."""
        seen = await self._reach.opened(visit)
        return seen if isinstance(seen, Response) else await self._page(visit, seen)

    async def act(self, visit: Visit) -> Response:
        """Open a claim. The same form sent again is the same claim."""
        seen = await self._reach.opened(visit)
        if isinstance(seen, Response):
            return seen
        if not self.parts.honest(visit, seen.secret):
            return await self._page(visit, seen, stale=True)
        form, tongue, problems = visit.form, seen.tongue, list[Problem]()
        order = seen.view.order
        line = next((line for line in order.lines if line.id == form.text("line")), None)
        asked = next((one for one in get_args(Remedy) if one == form.text("asked")), None)
        if line is None:
            problems.append(Problem("line", tongue.say("Choose the article.")))
        if not form.text("fault"):
            problems.append(Problem("fault", tongue.say("Say what is wrong with it.")))
        if asked is None:
            problems.append(Problem("asked", tongue.say("Choose what you ask for.")))
        if problems or line is None or asked is None:
            return await self._page(visit, seen, problems)
        said = said_once(form, "line", "units", "asked", "fault")
        units = form.text("units")
        claim = OpenClaim(
            id=str(uuid5(order.id, f"claim/{said}")), line_id=line.id, asked=asked,
            units=min(max(1, int(units[:4])), line.quantity) if units.isascii() and units.isdigit() else 1,
        )  # fmt: skip
        words = Words(text=form.text("fault")[:SAID_MAX], address=seen.view.email)
        found = await self.parts.desk.open_claim(seen.view.shop.id, order.id, claim, words)
        if isinstance(found, Refusal):
            text = tongue.say("This article cannot be claimed now: it has not arrived, or a claim on it is open.")
            return await self._page(visit, seen, [Problem("line", text, f"{found.rule}, {found.article}")])
        return see_other(f"{seen.here}/claim")

    async def _page(
        self, visit: Visit, seen: Seen, errors: list[Problem] | None = None, *, stale: bool = False
    ) -> Response:  # fmt: skip
        view = await self.parts.desk.aftercare(seen.view.shop.id, seen.view.order.id)
        if isinstance(view, Refusal):
            return self.parts.unknown(visit)
        tongue, shop = seen.tongue, seen.view.shop
        title = tongue.say("Legal guarantee of order %(number)s", number=number_of(seen.view))
        frame = shop_frame(
            shop, tongue, title, secret=self.parts.keys.form_token(seen.secret), reference=number_of(seen.view),
            said=(errors or [], [stale_notice(tongue)] if stale else []),
        )  # fmt: skip
        form = visit.form
        body = self.parts.painter.paint(
            "claim", frame,
            headline=title,
            here=seen.here,
            nonce=form.text("nonce")[:_NONCE_MAX] or token_urlsafe(16),
            lines=_lines(view, tongue),
            form={name: form.text(name) for name in ("line", "units", "fault", "asked")},
            remedies=[(id_, _begun(tongue.say(_REMEDIES[id_]))) for id_ in _offered(view)],
            claims=[_claim(one, view, tongue) for one in reversed(view.after.claims)],
            guarantees_url=legal_url(shop, "guarantees", tongue.language),
        )  # fmt: skip
        return self.parts.painter.respond(body, frame, 403 if stale else 422 if errors else 200)


def _lines(view: AfterView, tongue: Tongue) -> list[dict[str, str | int]]:
    """Articles that were received or supplied, with the last day of their guarantee."""
    order, after, book = view.order_view.order, view.after, view.setting.book
    units = claimable(order, after)
    found: list[dict[str, str | int]] = []
    for line in order.lines:
        until = guarantee_until(line.id, order, after, book)
        if units.get(line.id):
            text = tongue.say("guaranteed as long as it is supplied")
            if until is not None:
                text = tongue.say("guaranteed until %(day)s", day=tongue.date(until))
            found.append({"id": line.id, "name": line.name, "text": text, "units": units[line.id]})
    return found


def _begun(text: str) -> str:
    """Words that stand by themselves: with a capital."""
    return text[:1].upper() + text[1:]


def _offered(view: AfterView) -> list[Remedy]:
    """What may be asked for: repair or replacement first; the others once these were refused, or were not in time."""
    order, setting = view.order_view.order, view.setting
    open_to = {one for claim in view.after.claims for one in choices(claim, order, setting.on, setting.book)}
    return [one for one in get_args(Remedy) if one in open_to | {"repair", "replacement"}]


def _claim(claim: Claim, view: AfterView, tongue: Tongue) -> dict[str, object]:
    """A claim in words: what was asked for, where it stands, and what may be asked for now."""
    order, book, on = view.order_view.order, view.setting.book, view.setting.on
    names = {line.id: line.name for line in order.lines}
    texts = [
        tongue.say("Claimed on %(when)s: %(what)s", when=tongue.dated(claim.opened_at),
                   what=tongue.say(_REMEDIES[claim.asked])),
    ]  # fmt: skip
    if claim.state in OPEN:
        until = tongue.date(right_until(claim, order, book))
        texts.append(tongue.say("It is put right by %(day)s at the latest.", day=until))
        if {"reduction", "resolution"} & set(choices(claim, order, on, book)):
            text = tongue.say("That day has passed: you may ask for a lower price, or for the end of the sale.")
            texts.append(text)
    state = tongue.say(_STATES[claim.state])
    if claim.state == "refused" and claim.refused_for in _REFUSED:
        state = f"{state} ({tongue.say(_REFUSED[claim.refused_for])})"
    return {"name": names.get(claim.line_id, ""), "state": state, "texts": texts}
