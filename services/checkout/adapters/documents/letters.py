"""Letters that checkout writes itself, as both parts of a mail: what they say is kept as evidence."""

from datetime import datetime
from functools import cache
from typing import Final, NamedTuple

from relance.rules.law.calendar import PARIS
from services.checkout.adapters.documents.filling import environment, exceptions_of_law
from services.checkout.adapters.documents.plain import plain_text
from services.checkout.adapters.documents.words import words
from services.checkout.domain.letters import Acknowledgement, CreditNote, Decided, LetterFacts

__all__ = ["Body", "render"]

_HOUR_S: Final = 3600
_environment: Final = cache(environment)


class Body(NamedTuple):
    """A letter: the subject of its mail, and both parts, which say the same."""

    subject: str
    html: str
    text: str


def render(facts: LetterFacts) -> Body:
    """The letter in the language of the facts: the same bytes for the same facts. What people wrote is text in it,
    never markup, and no link is made of it.
    """
    w = words(facts.shop.language(facts.language))
    about = facts.about
    subject = w(_subject(about), number=about.number, order=about.order_number, shop=facts.shop.name)
    html = _environment().get_template("mail.html").render(
        w=w, body=f"letters/{about.kind}.html", title=subject, facts=facts, about=about, shop=facts.shop,
        trader=facts.shop.trader, zone=_zone, exceptions=exceptions_of_law(),
    )  # fmt: skip
    return Body(subject, html, plain_text(html))


def _subject(about: Acknowledgement | Decided | CreditNote) -> str:
    if isinstance(about, CreditNote):
        return "papers.credit_note.subject"
    if isinstance(about, Decided):
        return "letters.decided.subject"
    return "letters.acknowledgement.subject_of" if about.order_number else "letters.acknowledgement.subject_alone"


def _zone(at: datetime) -> str:
    """The offset of Paris at an instant: ``UTC+1``. It tells the two hours of an autumn night apart."""
    offset = at.astimezone(PARIS).utcoffset()
    return "UTC" if offset is None else f"UTC+{int(offset.total_seconds()) // _HOUR_S}"
