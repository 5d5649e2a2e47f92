"""Claims under the legal guarantee of goods and digital content: what becomes of one, and what is owed for it.

A claim is recorded whatever it says, also after the end of the guarantee; the shop may take it all the same.
"""

from datetime import date, timedelta
from typing import Final, Literal

import msgspec

from relance.rules.law.calendar import paris_date
from services.checkout.domain.aftercare import Aftercare, Claim, Due, new_due, put_in
from services.checkout.domain.follow_up import Letter, Noted, Outcome, Setting, once
from services.checkout.domain.guarantees import (
    OPEN,
    Remedy,
    choices,
    claimable,
    guarantee_until,
    guaranteed_from,
    held_units,
    is_over,
    late_claims,
    presumed_until,
    right_until,
    stands,
)
from services.checkout.domain.orders import End, Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.prices import price_minor
from services.checkout.domain.rights import gone_units

__all__ = [
    "Answer", "ClaimAct", "OpenClaim", "ReduceClaim", "RefuseClaim", "RepairClaim", "ReplaceClaim", "ResolveClaim",
    "TakeClaim", "choices", "claimable", "guarantee_until", "late_claims", "look", "next_on", "presumed_until",
    "right_until", "source_of", "step",
]  # fmt: skip

replace = msgspec.structs.replace

_DAY: Final = timedelta(days=1)
_AFTER_END: Final = "after_end"
_TAKEN_BEFORE: Final = frozenset({"repaired", "replaced", "reduced", "resolved"})  # what it cost may be told later


class OpenClaim(msgspec.Struct, frozen=True, kw_only=True, tag="open_claim"):
    """The consumer says that something is not as it should be. `content`: hash of his words; `appeared_on`: when the
    fault did, which decides (L217-3), also when it is claimed later.
    """

    id: str
    line_id: str
    units: int = 1
    asked: Remedy = "repair"
    content: str = ""
    appeared_on: date | None = None


class TakeClaim(msgspec.Struct, frozen=True, kw_only=True, tag="take_claim"):
    """The shop takes the claim. `postage_minor`: what sending back costs the consumer, in all, to be paid to him by
    hand; `out_from`: since when the goods are away. Of one that is put right it may still be told what it cost him.
    """

    claim_id: str
    postage_minor: int = 0
    out_from: date | None = None


class RepairClaim(msgspec.Struct, frozen=True, kw_only=True, tag="repair_claim"):
    """The goods are repaired, and back with the consumer."""

    claim_id: str
    back_on: date


class ReplaceClaim(msgspec.Struct, frozen=True, kw_only=True, tag="replace_claim"):
    """Others were delivered in their place."""

    claim_id: str
    delivered_on: date


class ReduceClaim(msgspec.Struct, frozen=True, kw_only=True, tag="reduce_claim"):
    """The consumer keeps them for less: `minor` goes back."""

    claim_id: str
    minor: int


class ResolveClaim(msgspec.Struct, frozen=True, kw_only=True, tag="resolve_claim"):
    """The sale of these units has ended: their price goes back."""

    claim_id: str


class RefuseClaim(msgspec.Struct, frozen=True, kw_only=True, tag="refuse_claim"):
    """The shop does not take the claim, and says why."""

    claim_id: str
    reason: Literal["no_defect", "damaged_later", "after_end", "minor", "carrier", "no_reservations"]


Answer = TakeClaim | RepairClaim | ReplaceClaim | ReduceClaim | ResolveClaim | RefuseClaim
ClaimAct = OpenClaim | Answer


# -- acts -------------------------------------------------------------------------------------------------------------


def source_of(claim: Claim) -> str:
    """What its dues name as their source."""
    return f"claim/{claim.id}"


def step(order: Order, after: Aftercare, act: ClaimAct, setting: Setting, answer: str = "") -> Outcome | Refusal:
    """What an act gives. `answer`: words for the consumer's letter; of a claim that is opened, should it be over."""
    if isinstance(act, OpenClaim):
        return _opened(order, after, act, setting, answer)
    claim = next((one for one in after.claims if one.id == act.claim_id), None)
    if claim is None:
        return Refusal("claim_id", f"this order has no claim {act.claim_id!r}")
    found = _answered(order, after, claim, act, setting)
    if isinstance(found, Refusal) or found.after == after:
        return found
    said: dict[str, str | int] = {"order_number": after.id[:8], "link": ""}
    letter = Letter("claim.answered", said | ({"answer": answer} if answer else {}))
    return found._replace(letters=(*found.letters, letter))


def look(order: Order, after: Aftercare, setting: Setting) -> Outcome:
    """Close claims whose goods went back in another way; note once that one was not put right in time."""
    outcome = Outcome(after)
    for claim in after.claims:
        if claim.state in OPEN and not stands(claim, order, after):
            noted = Noted("happened", "guarantees", ("C10",), {"step": "gone", "claim": claim.id})
            gone = replace(outcome.after, claims=put_in(outcome.after.claims, replace(claim, state="gone")))
            outcome = outcome._replace(after=gone, noted=(*outcome.noted, noted))
    for late in late_claims(order, outcome.after, setting.on, setting.book):
        told = once(outcome.after, f"claim/{late.claim.id}/late")
        if told is not None:
            facts = {"step": "not_put_right", "claim": late.claim.id, "until": late.right_until.isoformat()}
            noted = Noted("happened", "guarantees", ("C10",), facts)
            outcome = outcome._replace(after=told, noted=(*outcome.noted, noted))
    return outcome


def next_on(order: Order, after: Aftercare, setting: Setting) -> date | None:
    """The next day on which a claim becomes late."""
    days = (right_until(claim, order, setting.book) + _DAY for claim in after.claims if claim.state in OPEN)
    return min((day for day in days if day > setting.on), default=None)


def _opened(
    order: Order, after: Aftercare, act: OpenClaim, setting: Setting, answer: str
) -> Outcome | Refusal:  # fmt: skip
    if any(one.id == act.id for one in after.claims):
        return Outcome(after)
    if (refused := _unclaimable(order, after, act, setting)) is not None:
        return refused
    until = guarantee_until(act.line_id, order, after, setting.book)
    over = is_over(act.line_id, order, after, setting.book, act.appeared_on or setting.on)
    claim = Claim(
        id=act.id, line_id=act.line_id, units=min(act.units, claimable(order, after)[act.line_id]), asked=act.asked,
        opened_at=setting.at, content=act.content or setting.content, state="refused" if over else "opened",
        refused_for=_AFTER_END if over else "", appeared_on=act.appeared_on,
    )  # fmt: skip
    presumed = presumed_until(act.line_id, order, after, setting.book)
    facts = {
        "claim": claim.id, "line": act.line_id, "units": claim.units, "asked": act.asked,
        "appeared_on": (act.appeared_on or setting.on).isoformat(),
        "guarantee_until": until.isoformat() if until is not None else "",
        "presumed_until": presumed.isoformat() if presumed is not None else "",
    }  # fmt: skip
    noted = [Noted("declared", "guarantees", ("C10",), facts)]
    letters: tuple[Letter, ...] = ()
    if over:
        noted.append(Noted("happened", "guarantees", ("C10", "G03"), {"step": _AFTER_END, "claim": claim.id}))
        said: dict[str, str | int] = {"order_number": after.id[:8], "link": ""}
        letters = (Letter("claim.answered", said | ({"answer": answer} if answer else {})),)
    return Outcome(replace(after, claims=(*after.claims, claim)), noted=tuple(noted), letters=letters)


def _unclaimable(order: Order, after: Aftercare, act: OpenClaim, setting: Setting) -> Refusal | None:
    """Why nothing of a line can be claimed, or not as of that day."""
    line = next((one for one in order.lines if one.id == act.line_id), None)
    sold = after.line(act.line_id)
    if line is None or sold is None or sold.kind == "service":
        return Refusal("line_id", "this order has no such goods or digital content", "C10", "L217-3")
    since = guaranteed_from(line.id, order, after)
    if since is None:
        return Refusal("units", "the guarantee begins with delivery: nothing of it was received", "C10", "L217-3")
    if act.units < 1 or claimable(order, after).get(line.id, 0) < 1:
        held = held_units(line, order, after)
        reason = f"of {held} units that the consumer has an open claim is about each" if held else "all has gone back"
        return Refusal("units", reason, "C10", "L217-3")
    if act.appeared_on is not None and not since <= act.appeared_on <= setting.on:
        return Refusal("appeared_on", "since it was received, and not in the future", "C10", "L217-3")
    return None


def _answered(order: Order, after: Aftercare, claim: Claim, act: Answer, setting: Setting) -> Outcome | Refusal:
    if isinstance(act, RefuseClaim):
        return _refused(order, after, claim, act, setting)
    if _is_done(after, claim, act):
        return Outcome(after)
    if isinstance(act, TakeClaim) and claim.state in _TAKEN_BEFORE:
        return _taken(after, claim, act, setting)
    if claim.state not in {*OPEN, "refused"}:
        return Refusal("claim_id", f"this claim is {claim.state}: what is wrong now is a new one", "C10", "L217-3")
    match act:
        case TakeClaim():
            return _taken(after, claim, act, setting)
        case RepairClaim():
            return _put_right(after, claim, "repaired", act.back_on, setting)
        case ReplaceClaim():
            return _put_right(after, claim, "replaced", act.delivered_on, setting)
        case ReduceClaim():
            return _reduced(order, after, claim, act, setting)
        case ResolveClaim():
            return _resolved(order, after, claim, setting)


def _is_done(after: Aftercare, claim: Claim, act: Answer) -> bool:
    """Whether it was said before."""
    match act:
        case TakeClaim():
            same_way = act.out_from is None or act.out_from == claim.out_from
            return claim.state in {"taken", *_TAKEN_BEFORE} and claim.postage_minor == act.postage_minor and same_way
        case RepairClaim():
            return claim.state == "repaired" and claim.back_on == act.back_on
        case ReplaceClaim():
            return claim.state == "replaced" and claim.back_on == act.delivered_on
        case ReduceClaim():
            owed = sum(one.goods_minor for one in after.dues if one.source == source_of(claim))
            return claim.state == "reduced" and owed == act.minor
        case ResolveClaim():
            return claim.state == "resolved"
        case RefuseClaim():
            return claim.state == "refused"


def _taken(after: Aftercare, claim: Claim, act: TakeClaim, setting: Setting) -> Outcome | Refusal:
    """From the day on which the consumer hears that it is taken his postage is due (L241-6); of what he sends later,
    from the sending. Said again, only more is added.
    """
    if act.out_from is not None and act.out_from > setting.on:
        return Refusal("out_from", "goods are not away before they leave", "C10", "L217-3")
    more = act.postage_minor - claim.postage_minor
    if more < 0:
        return Refusal("postage_minor", "what was promised for sending back is not taken away", "C09", "L241-6")
    state = claim.state if claim.state in _TAKEN_BEFORE else "taken"
    taken = replace(
        claim, state=state, taken_on=claim.taken_on or setting.on, out_from=act.out_from or claim.out_from,
        postage_minor=act.postage_minor, refused_for="",
    )  # fmt: skip
    found = _with(after, taken, {"step": "taken", "postage_minor": act.postage_minor}, ("C09", "C10"))
    if not more:
        return found
    assert taken.taken_on is not None
    due = new_due(
        after, "guarantee", source_of(claim), amount_minor=more, product_minor=more,
        notice_on=max(taken.taken_on, taken.out_from or taken.taken_on), by_hand=True,
    )  # fmt: skip
    return _owing(found, due)


def _put_right(
    after: Aftercare, claim: Claim, state: Literal["repaired", "replaced"], on: date, setting: Setting
) -> Outcome | Refusal:  # fmt: skip
    if not paris_date(claim.opened_at) <= on <= setting.on:
        field = "back_on" if state == "repaired" else "delivered_on"
        return Refusal(field, "after the claim, and not in the future", "C10", "L217-3")
    done = replace(claim, state=state, taken_on=claim.taken_on or on, back_on=on, refused_for="")
    return _with(after, done, {"step": state, "on": on.isoformat()}, ("C10",))


def _reduced(order: Order, after: Aftercare, claim: Claim, act: ReduceClaim, setting: Setting) -> Outcome | Refusal:
    units = _units_left(order, after, claim)
    if units < 1:
        return _nothing_left()
    price = _price_minor(order, after, claim, units)
    if not 0 < act.minor <= price:
        return Refusal("minor", f"these units cost {price} cents", "C10", "L217-3")
    found = _with(after, _ended(claim, "reduced", setting), {"step": "reduced", "minor": act.minor}, ("C10",))
    return _owing(found, _of_price(after, claim, units, act.minor, setting))


def _resolved(order: Order, after: Aftercare, claim: Claim, setting: Setting) -> Outcome | Refusal:
    units = _units_left(order, after, claim)
    if units < 1:
        return _nothing_left()
    price = _price_minor(order, after, claim, units)
    found = _with(after, _ended(claim, "resolved", setting), {"step": "resolved", "units": units}, ("C10",))
    if price:
        found = _owing(found, _of_price(after, claim, units, price, setting))
    return found._replace(acts=(End(units={claim.line_id: units}, cause="nonconforming"),))


def _refused(order: Order, after: Aftercare, claim: Claim, act: RefuseClaim, setting: Setting) -> Outcome | Refusal:
    """Neither who carried the goods nor what was not said at the door excuses the shop; a defect that is minor leaves
    all but the end of the sale; the mediator is named (G03).
    """
    if (wrong := _no_reason(order, after, claim, act, setting)) is not None:
        return wrong
    if claim.state != "opened":
        return Outcome(after) if claim.refused_for == act.reason else _no_longer(claim)
    refused = replace(claim, state="refused", refused_for=act.reason)
    return _with(after, refused, {"step": "refused", "reason": act.reason}, ("C10", "G03"))


def _no_reason(
    order: Order, after: Aftercare, claim: Claim, act: RefuseClaim, setting: Setting
) -> Refusal | None:  # fmt: skip
    """Why a claim may not be refused for this."""
    if act.reason == "carrier":
        return Refusal("reason", "the shop answers for those who carry the goods for it", "C06", "L216-2")
    if act.reason == "no_reservations":
        reason = "what the consumer did not say at delivery takes nothing from the guarantee"
        return Refusal("reason", reason, "A30", "L216-5")
    if act.reason == "minor" and claim.asked != "resolution":
        return Refusal("reason", "a minor defect excludes the end of the sale only", "C10", "D211-2 annex")
    appeared_on = claim.appeared_on or paris_date(claim.opened_at)
    if act.reason == _AFTER_END and not is_over(claim.line_id, order, after, setting.book, appeared_on):
        until = guarantee_until(claim.line_id, order, after, setting.book)
        reason = f"it lasts until {until}" if until is not None else "it lasts as long as it is supplied"
        return Refusal("reason", reason, "C10", "L217-3")
    return None


def _no_longer(claim: Claim) -> Refusal:
    return Refusal("claim_id", f"this claim is {claim.state}, and is not refused any more", "C10", "L217-3")


# -- within -----------------------------------------------------------------------------------------------------------


def _with(after: Aftercare, claim: Claim, facts: dict[str, str | int], rules: tuple[str, ...]) -> Outcome:
    noted = Noted("happened", "guarantees", rules, facts | {"claim": claim.id}, "shop")
    return Outcome(replace(after, claims=put_in(after.claims, claim)), noted=(noted,))


def _owing(found: Outcome, due: Due) -> Outcome:
    return found._replace(after=replace(found.after, dues=(*found.after.dues, due)))


def _ended(claim: Claim, state: Literal["reduced", "resolved"], setting: Setting) -> Claim:
    return replace(claim, state=state, taken_on=claim.taken_on or setting.on, refused_for="")


def _units_left(order: Order, after: Aftercare, claim: Claim) -> int:
    """Units of a claim that are still with the consumer: some may have gone back since. Where fewer are left than open
    claims are about, they are those of the claim that is answered first.
    """
    line = next(line for line in order.lines if line.id == claim.line_id)
    return min(claim.units, held_units(line, order, after))


def _nothing_left() -> Refusal:
    return Refusal("claim_id", "nothing of these goods is with the consumer any more", "C10", "L217-3")


def _of_price(after: Aftercare, claim: Claim, units: int, minor: int, setting: Setting) -> Due:
    """A part of the price: no tariff of the law makes it dearer when it is late."""
    return new_due(
        after, "none", source_of(claim), units={claim.line_id: units}, lines_minor={claim.line_id: minor},
        goods_minor=minor, amount_minor=minor, product_minor=minor, notice_on=setting.on,
    )  # fmt: skip


def _price_minor(order: Order, after: Aftercare, claim: Claim, units: int) -> int:
    """What units of a claim cost by now."""
    line = next(line for line in order.lines if line.id == claim.line_id)
    return price_minor(line, after, gone_units(order, after)[line.id], units)
