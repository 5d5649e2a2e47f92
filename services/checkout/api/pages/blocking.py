"""What the law forbids, at the page and the block that it concerns: not only at the recap, where it could not be put
right. What is declared beside the order button is asked there.
"""

from collections.abc import Iterable
from typing import Final

from services.checkout.api.pages import faces
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.wording import N_, Problem, problem
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View

__all__ = ["page_of", "problems_of", "stopped"]

_PAGES: Final = {
    "lines": "cart", "coupon": "cart", "coupons": "cart", "contact": "contact", "address": "delivery",
    "delivery": "delivery", "payment": "payment",
}  # fmt: skip
_ASKED_LATER: Final = frozenset({"contact.age_declared", "recap.terms", "recap.early_start"})
_GONE: Final = N_("%(name)s is no longer for sale. Remove it to order the rest.")
_BY_PAGE: Final = {
    "cart": N_(
        "The shop has to put something right before this cart can be ordered. Nothing is ordered and nothing is paid: "
        "tell the shop what stands in brackets."
    ),
    "contact": N_(
        "The shop has to put something right on this page before you can order. Tell it what stands in brackets."
    ),
    "delivery": N_(
        "This delivery cannot be chosen as the shop offers it. Choose another one, or tell the shop what stands in "
        "brackets."
    ),
    "payment": N_(
        "This means of payment cannot be used as the shop offers it. Choose another one, or tell the shop what stands "
        "in brackets."
    ),
}


def page_of(view: View, refusal: Refusal) -> str:
    """The page on which a refusal is said; the cart for what no page can put right."""
    page = _PAGES.get(refusal.field.split(".", maxsplit=1)[0], "cart")
    return "contact" if page == "delivery" and not view.checkout.needs_delivery else page


def stopped(view: View, page: str) -> list[Refusal]:
    """What the law forbids here, of what belongs to a page."""
    found = (
        Refusal(one.field, one.reason, one.rule, one.article)
        for one in view.verdict.blockers
        if one.field not in _ASKED_LATER and ".early" not in one.field
    )
    return [one for one in found if page_of(view, one) == page]


def problems_of(view: View, page: str, refusals: Iterable[Refusal], tongue: Tongue, anchor: str) -> list[Problem]:
    """Refusals in plain words with what to do, each beside its line or block; what is said of a line is said once."""
    names, places = faces.names_of(view), _places(view)
    gone = {line.sku for line in view.record.lines} - {one.line.sku for one in view.lines}
    found: dict[tuple[str, str], Problem] = {}
    for one in refusals:
        parts = one.field.split(".")
        if parts[0] == "lines" and len(parts) > 1:
            beside = places.get(parts[1], anchor)
            if parts[1] in gone:
                said = Problem(beside, tongue.say(_GONE, name=parts[1]))
            else:
                said = problem(tongue, one, {"lines": beside}, names)
        else:
            law = ", ".join(part for part in (one.rule, one.article) if part)
            said = Problem(anchor, tongue.say(_BY_PAGE[page]), law)
        found.setdefault((said.anchor, said.text), said)
    return list(found.values())


def _places(view: View) -> dict[str, str]:
    """The field of a line on the cart page, by what refusals call the line: its sku, or its place among those shown."""
    found = {line.sku: f"quantity.{place}" for place, line in enumerate(view.record.lines)}
    shown = [(str(place), one.line) for place, one in enumerate(view.lines)]
    return {place: found[line.sku] for place, line in shown if not line.gift and line.sku in found} | found
