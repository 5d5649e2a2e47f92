"""The legal facts of a shop with what our own pages show for it: prescribed texts, boxes, the functions that end a
contract.
"""

from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from hashlib import sha256

import msgspec
from typing_extensions import override

from relance.rules.law.book import Book, Rule
from relance.rules.law.document import Document
from relance.rules.law.shop import Box, Legal
from services.checkout.domain.shops import Shop, speak

__all__ = ["ShopKey", "renewal_texts", "shop_document", "shown_legal"]

replace = msgspec.structs.replace


class ShopKey:
    """A shop's version in a language on a day: equal ones show equal texts."""

    __slots__ = ("_is", "book", "day", "language", "shop")

    def __init__(self, shop: Shop, language: str, book: Book, day: date) -> None:
        self.shop, self.language, self.book, self.day = shop, language, book, day
        self._is = (shop.id, shop.version, id(shop), language, id(book), day)

    @override
    def __hash__(self) -> int:
        return hash(self._is)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShopKey) and self._is == other._is


def shown_legal(shop: Shop, book: Book, day: date) -> Legal:
    """The shop's legal facts, with what our own pages show for it: the prescribed form and boxes, word for word, the
    sentence on the online function in all three places, the steps, how errors are corrected, and the functions that end
    a contract, with what they ask.
    """
    return _shown_legal(ShopKey(shop, "", book, day))


@lru_cache(maxsize=1024)
def _shown_legal(key: ShopKey) -> Legal:
    shop, book, day, legal = key.shop, key.book, key.day, key.shop.legal
    rules = book.on(day)
    boxes = dict(legal.boxes)
    for name, id_, wording in (("goods", "A19", "box"), ("digital", "A20", "once")):
        if id_ in rules and (pinned := rules[id_].wordings[wording].sha256):
            boxes.setdefault(name, Box(sha256=pinned, framed=True))
    counsel = dict(legal.counsel_texts)
    if "A20.continuous" in shop.texts:
        text = speak(shop.texts["A20.continuous"], "fr")
        pinned = sha256(text.encode()).hexdigest()
        counsel.setdefault("A20.continuous", pinned)
        boxes.setdefault("continuous", Box(sha256=pinned, framed=True))
    pictures = {slot: picture.sha256 for slot, picture in shop.artwork.items()}
    form = rules["B11"].wordings["form"].sha256 if "B11" in rules else ""
    places = ("information", "terms", "confirmation")
    terms = speak(shop.texts.get("terms", {}), "fr")
    shown = {name: speak(words, "fr") for name, words in shop.texts.items()} | legal.texts
    if renewing := renewal_texts(legal, book, day):
        shown["terms"] = " ".join([shown.get("terms", ""), *renewing])
    return replace(
        _with_functions(legal, shop, rules),
        boxes=boxes,
        counsel_texts=counsel | pictures,
        shown_artwork=legal.shown_artwork | pictures,
        withdrawal_form_sha256=legal.withdrawal_form_sha256 or form or "",
        withdrawal_function_sentence_in=legal.withdrawal_function_sentence_in or places,
        terms_sha256=legal.terms_sha256 or sha256(terms.encode()).hexdigest(),
        terms_downloadable=True,
        languages=tuple(dict.fromkeys((*legal.languages, *shop.languages))),
        steps=True,
        correction=True,
        phone_ban_in_contract=True,
        texts=shown,
    )


def renewal_texts(legal: Legal, book: Book, day: date) -> tuple[str, ...]:
    """The articles that our terms reproduce for a shop of services, which may renew themselves (B24)."""
    rule = book.on(day).get("B24")
    if rule is None or not {"service", "continuous"} & set(legal.sells):
        return ()
    return tuple(wording.text for wording in rule.wordings.values() if wording.text is not None)


def _with_functions(legal: Legal, shop: Shop, rules: Mapping[str, Rule]) -> Legal:
    """The shop's facts with those of our two functions, where it says nothing of its own."""

    def label(own: str | None, id_: str, wording: str) -> str | None:
        return own if own is not None or id_ not in rules else rules[id_].wordings[wording].text

    def asked(own: tuple[str, ...] | None, id_: str, *by_choice: str) -> tuple[str, ...] | None:
        return own if own is not None or id_ not in rules else (*rules[id_].parameters["fields"], *by_choice)

    url = legal.termination_url
    return replace(
        legal,
        withdrawal_fields=asked(legal.withdrawal_fields, "B06", "lines"),
        withdrawal_confirm_label=label(legal.withdrawal_confirm_label, "B07", "confirm"),
        termination_url=(shop.aftercare.terminate_url or f"/terminate/{shop.id}") if url is None else url,
        termination_label=label(legal.termination_label, "B20", "terminate"),
        termination_fields=asked(legal.termination_fields, "B21", "reason", "proof"),
        termination_recap=True if legal.termination_recap is None else legal.termination_recap,
        termination_confirm_label=label(legal.termination_confirm_label, "B22", "notify"),
    )


def shop_document(shop: Shop, book: Book, at: datetime, day: date) -> Document:
    """The shop alone: what must be there before anything is published."""
    return Document(
        stage="shop", at=at, language=shop.languages[0], country=shop.zone.country, trader=shop.trader,
        legal=shown_legal(shop, book, day),
    )  # fmt: skip
