"""The legal pages of a shop: what each must hold, and whether it is there. A page with a gap is not published."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Final, Literal, get_args

import msgspec

from relance.rules.law.book import Book, Rule
from relance.rules.law.checks import MEANINGS
from relance.rules.law.document import Document
from relance.rules.law.shop import Legal
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.prescribed import (
    Blank,
    Choices,
    Notice,
    Prescribed,
    filled_form,
    notice,
    pinned,
    renewing,
)
from services.checkout.domain.shops import Artwork, Shop

__all__ = ["LEGAL_PAGES", "LegalPage", "Name", "check_pages", "check_words", "compose_page"]

Law = tuple[Book, date]
Name = Literal["imprint", "terms", "withdrawal", "guarantees", "privacy", "accessibility"]
LEGAL_PAGES: Final[tuple[Name, ...]] = get_args(Name)

# The rules whose facts a page prints: their meaning says what is missing.
JUDGED: Final[dict[Name, tuple[str, ...]]] = {
    "imprint": ("A27", "G01", "G02", "G03", "G08"),
    "terms": ("A09", "A27", "B01", "B03", "B05", "G02", "G03"),
    "withdrawal": ("A27", "B01", "B03", "B05"),
    "guarantees": ("A27",),
    "privacy": ("A27",),
    "accessibility": ("G05", "G06"),
}
FORBIDDEN: Final = ("B19", "G04")  # what no page may say


class LegalPage(msgspec.Struct, frozen=True, kw_only=True):
    """The content of one page. `notice` and `form`: of pages on withdrawal; `boxes`: of pages on guarantees.
    `pictures`: official artwork by its slot. `renewal`: articles on what renews itself, in terms.
    """

    name: Name
    shop: Shop
    language: str
    notice: Notice | None = None
    form: tuple[Blank, ...] = ()
    boxes: tuple[Prescribed, ...] = ()
    pictures: tuple[tuple[str, Artwork], ...] = ()
    phone_ban: Prescribed | None = None
    renewal: tuple[Prescribed, ...] = ()
    days: int = 0
    archive_years: int = 0
    archive_from_minor: int = 0

    @property
    def texts(self) -> dict[str, str]:
        """The SHA-256 of each prescribed text by its slot."""
        sources = (*(self.notice.sources if self.notice is not None else ()), *self.boxes, *self.renewal)
        sources += (self.phone_ban,) if self.phone_ban is not None else ()
        return {text.slot: text.sha256 for text in sources} | {slot: one.sha256 for slot, one in self.pictures}


def compose_page(shop: Shop, name: Name, language: str, law: Law) -> LegalPage | tuple[Refusal, ...]:
    """A page's content, or everything that keeps it from being published, each with rule, article and field."""
    found: list[Refusal] = [*_missing(shop, name, language, law)]
    told = _notice(shop, law) if name in {"terms", "withdrawal"} else None
    form = filled_form(shop, law) if name in {"terms", "withdrawal"} else ()
    boxes = _boxes(shop, law, language) if name in {"terms", "guarantees"} else []
    ban = pinned(shop, law, "E10", "contract", language) if name == "terms" else None
    renewal = renewing(shop, law, language) if name == "terms" and _renews(shop) else []
    found += [text for text in (told, form, *boxes, ban, *renewal) if isinstance(text, Refusal)]
    if found:
        return tuple(dict.fromkeys(found))
    assert not isinstance(told, Refusal)
    assert not isinstance(form, Refusal)
    assert not isinstance(ban, Refusal)
    book, day = law
    rules = book.on(day)
    archive = rules["G09"].parameters if "G09" in rules else {}
    return LegalPage(
        name=name,
        shop=shop,
        language=language,
        notice=told,
        form=form,
        boxes=tuple(text for text in boxes if isinstance(text, Prescribed)),
        pictures=_pictures(shop, language, rules) if name == "guarantees" else (),
        phone_ban=ban,
        renewal=tuple(text for text in renewal if isinstance(text, Prescribed)),
        days=shop.legal.withdrawal_days or 0,
        archive_years=archive.get("years", 0),
        archive_from_minor=archive.get("total_minor", 0),
    )


def _renews(shop: Shop) -> bool:
    """Whether the shop sells what may renew itself: services, or digital content that goes on (B24)."""
    return bool({"service", "continuous"} & set(shop.legal.sells))


def check_pages(shop: Shop, law: Law) -> Refusal | None:
    """The first thing that keeps a legal page of the shop from being published: whoever orders has to find them all."""
    for name in LEGAL_PAGES:
        for language in shop.languages:
            page = compose_page(shop, name, language, law)
            if isinstance(page, tuple):
                return page[0]
    return None


def check_words(shop: Shop, law: Law, texts: Mapping[str, str]) -> tuple[Refusal, ...]:
    """What rendered texts say that no page may: a waiver of the right, the closed European platform.

    `texts`: a page's name to its words, with plain spaces or any others.
    """
    plain = {name: " ".join(text.split()).replace("\u2019", "'") for name, text in texts.items()}
    legal = msgspec.structs.replace(shop.legal, texts=plain)
    return tuple(_judged(_document(shop, legal, shop.languages[0], law[1]), FORBIDDEN, law))


def _missing(shop: Shop, name: Name, language: str, law: Law) -> Iterator[Refusal]:
    legal = _made_true(shop.legal, law)
    yield from _judged(_document(shop, legal, language, law[1]), JUDGED[name], law)
    if name == "privacy" and not shop.texts.get("privacy", {}).get("fr"):
        reason = "where personal data go and how long they are kept is not said"
        yield Refusal("texts.privacy.fr", reason, "E26", "RGPD, 13")
    url = legal.withdrawal_function_url
    if name in {"terms", "withdrawal"} and url and not url.startswith(("https://", "http://")):
        yield Refusal("legal.withdrawal_function_url", "is no address of the web", "B10", "L221-5 I 7°")
    if name == "terms" and not legal.terms_version:
        yield Refusal("legal.terms_version", "the terms have no version", "A09", "Code civil, 1127-1")


def _made_true(legal: Legal, law: Law) -> Legal:
    """What these pages say for every shop: the steps, how errors are corrected, the model form, the terms as PDF."""
    book, day = law
    rules = book.on(day)
    form = rules["B11"].wordings["form"].sha256 if "B11" in rules else None
    return msgspec.structs.replace(
        legal,
        steps=True,
        correction=True,
        terms_downloadable=True,
        withdrawal_form_sha256=legal.withdrawal_form_sha256 or form or "",
    )


def _document(shop: Shop, legal: Legal, language: str, day: date) -> Document:
    noon = datetime.combine(day, time(12), UTC)
    return Document(stage="shop", at=noon, language=language, trader=shop.trader, legal=legal)


def _judged(document: Document, names: tuple[str, ...], law: Law) -> Iterator[Refusal]:
    book, day = law
    rules = book.on(day)
    for name in names:
        if (rule := rules.get(name)) is None or rule.severity != "block":
            continue
        for field, reason, article, warn in MEANINGS[name].check(rule, document, document.at):
            if not warn:
                yield Refusal(field, reason, name, article or rule.article)


def _notice(shop: Shop, law: Law) -> Notice | Refusal:
    """The notice with every variant that the shop's lines may need; `about` names the variant, for the page to word."""
    legal = shop.legal
    if not legal.withdrawal_variants:
        return Refusal("legal.withdrawal_variants", "the notice has no variant of annex R221-3", "B02", "L221-18")
    letters = sorted(legal.withdrawal_variants)
    names = {letter: name for name, letter in law[0].rule("B02", law[1]).parameters["variants"].items()}
    if unknown := [letter for letter in letters if letter not in names]:
        return Refusal("legal.withdrawal_variants", f"annex R221-3 has no variant {unknown[0]!r}", "B02", "L221-18")
    choices = Choices(
        groups=tuple((letter, names[letter] if len(letters) > 1 else "") for letter in letters),
        goods=letters != ["a"],
        services="service" in legal.sells,
        function_url=legal.withdrawal_function_url,
        cost_borne_by=legal.return_cost_borne_by,
    )
    return notice(shop, law, choices)


def _pictures(shop: Shop, language: str, rules: Mapping[str, Rule]) -> tuple[tuple[str, Artwork], ...]:
    """The official notice (A22) in the language of the page, else in French, once the rule is in force."""
    slots = (f"A22.notice.{one}" for one in (language, "fr"))
    slot = next((slot for slot in slots if slot in shop.artwork), None) if "A22" in rules else None
    return () if slot is None else ((slot, shop.artwork[slot]),)


def _boxes(shop: Shop, law: Law, language: str) -> list[Prescribed | Refusal]:
    """The boxes on the guarantees of what the shop sells."""
    wanted = {"goods": ("A19", "box"), "digital": ("A20", "once"), "continuous": ("A20", "continuous")}
    found = (pinned(shop, law, *wanted[sold], language) for sold in wanted if sold in shop.legal.sells)
    return [text for text in found if text is not None]
