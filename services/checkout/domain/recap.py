"""The recap: all that the order button binds, as bytes and their hash. Any change, also a fall of the price, is another
hash, and the shopper sees the recap again with what has changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from relance.rules.law.book import Book
from relance.rules.law.buttons import ButtonLists, check_button
from relance.rules.law.terms import parameters
from relance.rules.law.totals import Totals
from services.checkout.domain.cart import Line
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.tenders import Tender

__all__ = [
    "Button", "Chosen", "Difference", "Recap", "RecapLine", "Shown", "canonical", "check_buttons", "check_words",
    "compose", "differences", "digest",
]  # fmt: skip


class RecapLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as shown. `sku` is empty for what has no stock."""

    id: str
    product_id: str
    sku: str
    name: str
    quantity: int
    unit_minor: int
    net_minor: int
    offer_id: str
    vat_percent: str
    gift: bool


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The delivery chosen: mode, place, and the date that is promised."""

    mode: str
    address_hash: str
    expected_on: date


class Button(msgspec.Struct, frozen=True, kw_only=True):
    """The accessible name of the order button, and its language."""

    text: str
    language: str


class Recap(msgspec.Struct, frozen=True, kw_only=True):
    """`texts`: name to SHA-256 of each text on the page that the law asks for; `law_on`: the date of the rules."""

    checkout_id: str
    shop: str
    currency: str
    lines: tuple[RecapLine, ...]
    delivery: Chosen | None
    coupons: tuple[str, ...]
    tenders: tuple[Tender, ...]
    discount_minor: int
    delivery_minor: int
    vat_minor: dict[str, int]
    total_minor: int
    due_later_minor: int
    terms_version: str
    personalised_notice: str
    texts: dict[str, str]
    button: Button
    law_on: date


class Difference(NamedTuple):
    """A field that is no longer what was shown; None where it did not exist."""

    field: str
    before: Any
    after: Any


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a recap says beside lines and sums."""

    checkout_id: str
    shop: str
    delivery: Chosen | None = None
    coupons: tuple[str, ...] = ()
    tenders: tuple[Tender, ...]
    due_later_minor: int = 0
    terms_version: str
    personalised_notice: str = ""
    texts: dict[str, str] = {}
    button: Button
    law_on: date


def compose(lines: Sequence[Line], sums: Totals, shown: Shown) -> Recap:
    """The recap of priced lines. `sums` are theirs, in order."""
    return Recap(
        **{name: getattr(shown, name) for name in Shown.__struct_fields__},
        currency="EUR",
        lines=tuple(
            RecapLine(
                id=line.id,
                product_id=line.product_id,
                sku=line.sku if line.kind == "goods" else "",
                name=line.name,
                quantity=line.quantity,
                unit_minor=line.unit_minor,
                net_minor=net,
                offer_id=line.offer_id,
                vat_percent=str(line.vat_percent),
                gift=line.gift,
            )
            for line, net in zip(lines, sums.net_minor, strict=True)
        ),
        discount_minor=sums.discount_minor,
        delivery_minor=sums.delivery_minor,
        vat_minor={str(rate): amount for rate, amount in sums.vat_minor.items()},
        total_minor=sums.total_minor,
    )


def canonical(recap: Recap) -> bytes:
    """The bytes that are bound: JSON with sorted keys, no spaces, whole numbers only."""
    return msgspec.json.encode(recap, order="sorted")


def digest(recap: Recap) -> str:
    """SHA-256 of the canonical bytes, in hex: what the form carries."""
    return sha256(canonical(recap)).hexdigest()


def differences(shown: Recap, present: Recap) -> tuple[Difference, ...]:
    """What to mark when the recap is shown again, by dotted field."""
    before, after = dict(_leaves("", msgspec.to_builtins(shown))), dict(_leaves("", msgspec.to_builtins(present)))
    fields = [*before, *(field for field in after if field not in before)]
    return tuple(
        Difference(field, before.get(field), after.get(field))
        for field in fields
        if before.get(field) != after.get(field)
    )


def check_words(recap: Recap, law: tuple[Book, date]) -> Refusal | None:
    """Whether the button may conclude this order. Words that nobody has read yet are refused."""
    book, day = law
    lists = parameters(book, "A04", day, ButtonLists)
    now, later = recap.total_minor, recap.due_later_minor
    found = check_button(
        recap.button.text, recap.button.language, due_now_minor=now, due_later_minor=later, lists=lists
    )
    if found.allowed:
        return None
    rule = book.rule("A05" if now == 0 and "A05" in book.on(day) else "A04", day)
    reason = f"{recap.button.text!r} is {found.status}: the words do not say that an order obliges to pay"
    return Refusal("recap.button.text", reason, rule.id, rule.article)


def check_buttons(words: Mapping[str, str], law: tuple[Book, date]) -> Refusal | None:
    """Whether a shop's button could conclude an order that costs something, by language: asked before any shopper sees
    it.
    """
    book, day = law
    lists, rule = parameters(book, "A04", day, ButtonLists), book.rule("A04", day)
    for language, text in words.items():
        found = check_button(text, language, due_now_minor=1, due_later_minor=0, lists=lists)
        if not found.allowed:
            reason = f"{text!r} is {found.status}: the words do not say that an order obliges to pay"
            return Refusal(f"button.{language}", reason, rule.id, rule.article)
    return None


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Values by dotted path; a list's entries go by their `id` where they have one, else by their place."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(f"{path}.{name}" if path else name, part)
    elif isinstance(value, list | tuple):
        for place, part in enumerate(value):
            name = part.get("id", place) if isinstance(part, dict) else place
            yield from _leaves(f"{path}.{name}", part)
    else:
        yield path, value
