"""Evidence of the steps: what was shown, chosen and accepted, in the words that a court reads."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from relance.evidence.entries import Act, Document, RuleRef, Sealed
from relance.kernel.instants import to_ms
from relance.rules.law.book import Book
from relance.rules.law.calendar import paris_date
from services.checkout.domain.checkouts import GiveContact
from services.checkout.domain.presenting import View
from services.checkout.domain.records import PressActs, TextShown

__all__ = ["Terms", "accepted", "contact_given", "delivery_chosen", "happened", "means_chosen", "recap_shown", "refs"]


def refs(view: View, book: Book, *ids: str) -> tuple[RuleRef, ...]:
    """The rules in force of these ids, as evidence names them."""
    found = book.on(paris_date(view.at))
    return tuple(RuleRef(id=id_, version=found[id_].version, article=found[id_].article[:200]) for id_ in ids
                 if id_ in found)  # fmt: skip


def _texts(texts: Mapping[str, TextShown], names: Iterable[str]) -> dict[str, Any]:
    return {
        name: {"sha256": one.sha256, "rule": one.rule, "version": one.version, "article": one.article}
        for name in names
        if (one := texts.get(name)) is not None
    }


def contact_given(view: View, act: GiveContact, book: Book, personal: tuple[Sealed, ...]) -> list[Act]:
    """The contact with what stood beside the fields, and each consent as an act of its own."""
    at_ms, by = to_ms(view.at), _by(view)
    beside = _texts(view.texts, ("email_notice", "phone_field", "similar_goods"))
    facts: dict[str, Any] = {"shown_beside": beside, "phone_given": bool(act.contact.phone)}
    acts = [
        Act(at_ms=at_ms, act="declared", what="contact", by=by, rules=refs(view, book, "E26", "E10"), facts=facts,
            personal=personal)
    ]  # fmt: skip
    if act.objected is not None:
        said = {"purpose": "similar_goods", "objected": act.objected, "text_version": act.objection_text_version}
        acts.append(
            Act(at_ms=at_ms, act="chosen", what="objection", by=by, rules=refs(view, book, "E02"),
                facts={**said, **_texts(view.texts, ("similar_goods",))})
        )  # fmt: skip
    for one in act.consents:
        facts = {
            "channel": one.channel, "purpose": one.purpose, "granted": one.granted, "preticked": False,
            "text_version": one.text_version, "proof": one.proof,
        }  # fmt: skip
        acts.append(Act(at_ms=at_ms, act="chosen", what="consent", by=by, rules=refs(view, book, "E07"), facts=facts))
    return acts


def delivery_chosen(view: View, book: Book, personal: tuple[Sealed, ...]) -> Act:
    """The mode, and all that were offered with their fees: they cap a later refund."""
    offered = [
        {"id": quote.mode.id, "fee_minor": quote.fee_minor, "standard": quote.mode.caps_refunds,
         "expected_on": quote.expected_on.isoformat(), "refused": quote.refused}
        for quote in view.quotes
    ]  # fmt: skip
    chosen = view.chosen
    facts: dict[str, Any] = {"mode": chosen.mode.id if chosen is not None else "", "offered": offered}
    if chosen is not None:
        facts |= {"fee_minor": chosen.fee_minor, "expected_on": chosen.expected_on.isoformat()}
    return Act(at_ms=to_ms(view.at), act="chosen", what="delivery", by=_by(view), rules=refs(view, book, "A06", "A18"),
               facts=facts, personal=personal)  # fmt: skip


def means_chosen(view: View, book: Book) -> Act:
    """The means, and that those announced were those offered."""
    facts = {
        "means": view.checkout.means.means if view.checkout.means is not None else "",
        "purses": len(view.checkout.means.purses) if view.checkout.means is not None else 0,
        "announced": [one.means.id for one in view.announced],
        "offered": [one.means.id for one in view.means],
    }
    return Act(at_ms=to_ms(view.at), act="chosen", what="payment", by=_by(view), rules=refs(view, book, "A06"),
               facts=facts)  # fmt: skip


def recap_shown(view: View, book: Book, page: Document) -> Act:
    """The page with the order button, by its bytes."""
    rules = refs(view, book, "A01", "A02", "A04", "A07", "A13", "B01", "B10")
    facts = {
        "recap_sha256": view.recap_hash,
        "total_minor": view.sums.total_minor,
        "button": view.button.text,
        "language": view.language,
        "terms_version": view.shop.legal.terms_version,
        "law_on": view.recap.law_on.isoformat() if view.recap is not None else "",
        "texts": _texts(view.texts, view.texts),
    }
    return Act(at_ms=to_ms(view.at), act="shown", what="recap", by=_by(view), rules=rules, document=page, facts=facts)


class Terms(NamedTuple):
    """The terms that were accepted: hashes of their words, and of the PDF that the link beside the box shows."""

    text_sha256: str
    pdf_sha256: str = ""


def accepted(view: View, acts: PressActs, terms: Terms, book: Book) -> list[Act]:
    """The click and the acts beside it: terms, early start, age."""
    at_ms, by = to_ms(view.at), _by(view)
    named = {"version": view.shop.legal.terms_version, "sha256": terms.text_sha256, "ticked_by": "consumer"}
    if terms.pdf_sha256:
        named["pdf_sha256"] = terms.pdf_sha256
    said = [Act(at_ms=at_ms, act="accepted", what="terms", by=by, rules=refs(view, book, "A09"), facts=named)]
    if acts.early_start:
        facts: dict[str, Any] = {
            "requested": acts.early_start, "loss_acknowledged": acts.loss_acknowledged,
            **_texts(view.texts, ("early_start", "early_request", "early_loss")),
        }  # fmt: skip
        said.append(
            Act(at_ms=at_ms, act="accepted", what="early_start", by=by, rules=refs(view, book, "A11", "A12"),
                facts=facts)
        )  # fmt: skip
    if acts.adult:
        said.append(Act(at_ms=at_ms, act="declared", what="age", by=by, rules=refs(view, book, "G14")))
    button = {
        "words": acts.button_text or view.button.text, "recap_sha256": view.recap_hash,
        "total_minor": view.sums.total_minor,
    }  # fmt: skip
    said.append(
        Act(at_ms=at_ms, act="accepted", what="button", by=by, rules=refs(view, book, "A04", "A05"), facts=button)
    )
    return said


def happened(
    what: str,
    at: datetime,
    by: Literal["checkout", "shop", "payment", "notification"],
    facts: dict[str, Any],
    document: Document | None = None,
    rules: tuple[RuleRef, ...] = (),
) -> Act:
    """Something that came about."""
    return Act(at_ms=to_ms(at), act="happened", what=what, by=by, facts=facts, document=document, rules=rules)


def _by(view: View) -> Literal["checkout", "shop"]:
    return "shop" if view.record.attested_by_shop else "checkout"
