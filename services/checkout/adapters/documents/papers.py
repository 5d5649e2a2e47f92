"""The documents of an order and of a shop: confirmation, terms, legal pages."""

import gc
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from relance.rules.law.book import Book
from relance.rules.law.calendar import paris_date
from services.checkout.adapters.documents.filling import environment, exceptions_of_law
from services.checkout.adapters.documents.paper import paper_page
from services.checkout.adapters.documents.plain import plain_text
from services.checkout.adapters.documents.words import LANGUAGES, words
from services.checkout.domain import confirmation
from services.checkout.domain.confirmation import ConfirmationFacts
from services.checkout.domain.legal_pages import LEGAL_PAGES, LegalPage, check_words, compose_page
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.papers import PaperFacts
from services.checkout.domain.shops import Shop, speak

if TYPE_CHECKING:
    from services.checkout.adapters.documents.typesetting import Press

__all__ = ["Documents", "Rendered"]

TERMS_KEPT: Final = 64


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A confirmation, ready to be kept and sent. `html` and `text` are the two parts of the mail; both say all that the
    PDF says. `texts`: the SHA-256 of each prescribed text by its slot; `items`: what rule A10 asks for; `terms`: the
    terms of sale that were accepted, as PDF.
    """

    subject: str
    pdf: bytes
    html: bytes
    text: str
    items: tuple[str, ...]
    texts: dict[str, str]
    terms: bytes | None = None


class Documents:
    """Renders; keeps no state but fonts, templates and words, and gives the same bytes for the same facts.

    Not for use by two threads at once. Fonts are loaded by `warm` or by the first PDF, which takes a second then.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._templates = environment()
        self._exceptions = exceptions_of_law()
        self._accepted: dict[tuple[str, int, str, str, date], bytes | None] = {}

    @cached_property
    def _press(self) -> "Press":
        from services.checkout.adapters.documents.typesetting import Press  # noqa: PLC0415 - no HTML page waits for it

        return Press()

    def warm(self) -> None:
        """Load what every PDF needs, and print one specimen, so that the first document takes no longer than others.

        For a process that does nothing else: what was loaded is no longer looked through by the garbage collector.
        """
        self._press.specimen()
        for language in LANGUAGES:
            words(language)
        gc.collect()
        gc.freeze()

    def accepted_terms(self, facts: ConfirmationFacts) -> bytes | None:
        """The terms of sale that an order accepted, as the link beside its button showed them; None when the shop has
        another version by now, or none that may be published.
        """
        shop, version = facts.shop, facts.recap.terms_version
        if shop.legal.terms_version != version:
            return None
        key = (shop.id, shop.version, version, shop.language(facts.language), facts.recap.law_on)
        if key not in self._accepted:
            made = self.terms(shop, facts.language, facts.recap.law_on)
            if len(self._accepted) >= TERMS_KEPT:
                self._accepted.clear()
            self._accepted[key] = made if isinstance(made, bytes) else None
        return self._accepted[key]

    def confirmation(self, facts: ConfirmationFacts, terms: bytes | None = None) -> Rendered | tuple[Refusal, ...]:
        """The confirmation on a durable medium, or all that it lacks, each with its rule. `terms`: those that were
        accepted, whose hash it prints.
        """
        if terms is not None:
            legal = msgspec.structs.replace(facts.shop.legal, terms_sha256=sha256(terms).hexdigest())
            facts = msgspec.structs.replace(facts, shop=msgspec.structs.replace(facts.shop, legal=legal))
        sheet = confirmation.compose(facts, (self._book, facts.recap.law_on))
        if isinstance(sheet, tuple):
            return sheet
        w = words(facts.shop.language(facts.language))
        subject = w("confirmation.subject", number=facts.order.id, shop=facts.shop.name)
        names = {"sheet": sheet, "w": w, "title": subject, "exceptions": self._exceptions}
        page = self._render("page.html", names, "confirmation.html", facts)
        mail = self._render("mail.html", names, "confirmation.html", facts)
        return Rendered(
            subject=subject,
            pdf=self._press.pdf(page),
            html=mail.encode(),
            text=plain_text(mail),
            items=sheet.items,
            texts=sheet.texts,
            terms=terms,
        )

    def paper(self, facts: PaperFacts) -> bytes:
        """An invoice or a credit note as PDF."""
        return self._press.pdf(paper_page(facts))

    def terms(self, shop: Shop, language: str, on: date | None = None) -> bytes | Refusal:
        """The terms of sale as PDF, under the law of `on` (default: today in Paris)."""
        made = self._legal(shop, "terms", language, on or paris_date(datetime.now(UTC)), paper=True)
        return self._press.pdf(made) if isinstance(made, str) else made[0]

    def page(self, shop: Shop, name: str, language: str, on: date | None = None) -> bytes | Refusal:
        """A legal page as HTML that loads nothing. The refusal of a name that is none has the field `name`."""
        made = self._legal(shop, name, language, on or paris_date(datetime.now(UTC)))
        return made.encode() if isinstance(made, str) else made[0]

    def faults(self, shop: Shop, language: str, on: date) -> tuple[Refusal, ...]:
        """All that keeps the shop's legal pages from being published, by page."""
        found: dict[Refusal, None] = {}
        for name in LEGAL_PAGES:
            made = self._legal(shop, name, language, on)
            found |= dict.fromkeys(() if isinstance(made, str) else made)
        return tuple(found)

    def _legal(
        self, shop: Shop, name: str, language: str, day: date, *, paper: bool = False
    ) -> str | tuple[Refusal, ...]:
        known = next((one for one in LEGAL_PAGES if one == name), None)
        if known is None:
            return (Refusal("name", "there is no such page"),)
        law, spoken = (self._book, day), shop.language(language)
        page = compose_page(shop, known, spoken, law)
        if isinstance(page, tuple):
            return page
        made = self._laid_out(page, day, paper=paper)
        return check_words(shop, law, {name: plain_text(made)}) or made

    def _laid_out(self, page: LegalPage, day: date, *, paper: bool) -> str:
        shop, w = page.shop, words(page.language)
        entry = self._book.rule("B05", day).wordings["entry"].text if "B05" in self._book.on(day) else ""
        statement = shop.legal.accessibility_statement
        return self._templates.get_template("page.html" if paper else "legal.html").render(
            w=w,
            page=page,
            body=f"{page.language}/{page.name}.html",
            paper=paper,
            title=w("pages.title", page=w(f"pages.titles.{page.name}"), shop=shop.name),
            author=shop.trader.name,
            shop=shop,
            trader=shop.trader,
            legal=shop.legal,
            names=LEGAL_PAGES,
            functions=self._functions(shop, page.language),
            languages=[w.tongue(one) for one in dict.fromkeys((*shop.legal.languages, *shop.languages))],
            countries=[w.country(one) for one in shop.countries],
            label_language="fr" if shop.legal.withdrawal_function_label.casefold() == entry else "en",
            statement_is_link=statement.startswith(("http://", "https://")),
            exceptions=self._exceptions,
            speak=lambda said: speak(said, page.language),
        )

    def _functions(self, shop: Shop, language: str) -> list[tuple[str, str]]:
        """Where one withdraws, ends a contract and finds an order without any link: address and words, as the law has
        them.
        """

        def words_of(rule: str, wording: str) -> str:
            last = self._book.versions(rule)[-1]
            return str(last.wordings[wording].text).strip() if language == "fr" else str(last.parameters["labels"][1])

        found = [("withdraw", words_of("B05", "entry"))]
        if {"continuous", "service"} & set(shop.legal.sells):
            found.append(("terminate", words_of("B20", "terminate")))
        found.append(("find", words(language)("pages.find")))
        own = {"terminate": shop.aftercare.terminate_url}
        return [(own.get(name) or f"../../{name}/{shop.id}?lang={language}", label) for name, label in found]

    def _render(self, template: str, names: Mapping[str, Any], body: str, facts: ConfirmationFacts) -> str:
        language = names["w"].language
        shop = facts.shop
        return self._templates.get_template(template).render(
            **names,
            body=body,
            author=shop.trader.name,
            trader=shop.trader,
            commercial=any(line.guarantees for line in facts.lines),
            speak=lambda said: speak(said, language),
        )
