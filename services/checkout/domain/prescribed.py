"""Prescribed texts: quoted from the book of law or the shop's counsel, checked by hash, their blanks filled.

None is written here. A text that is missing, or whose hash is another, is a refusal with its rule.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from relance.rules.law.book import Book
from relance.rules.law.shop import Trader
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import Shop

__all__ = ["Blank", "Choices", "Notice", "Part", "Prescribed", "filled_form", "notice", "pinned", "renewing",
           "variant_of"]  # fmt: skip

Law = tuple[Book, date]

_QUOTED: Final = re.compile(r'" (.+?) "')
_BLANK: Final = re.compile(r"\[[^\]]*\]")


class Prescribed(msgspec.Struct, frozen=True, kw_only=True):
    """A text as it is prescribed, in paragraphs. `slot`: rule and wording (`A19.box`); `sha256`: of its UTF-8 bytes."""

    slot: str
    version: int
    article: str
    source: str
    sha256: str
    text: str
    language: str = "fr"
    by_counsel: bool = False

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """Paragraphs; a line that begins a numbered entry is one of its own."""
        blocks = (block.strip() for block in re.split(r"\n\s*\n|\n(?=\s*\d+°)", self.text))
        return tuple(" ".join(block.split()) for block in blocks if block)


class Part(NamedTuple):
    """A paragraph of a filled text. `about`: the goods that it speaks of, when others have another."""

    text: str
    about: str = ""
    heading: bool = False


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """The withdrawal notice of annex R221-3 with its alternatives chosen. `variants`: of its instruction (1)."""

    parts: tuple[Part, ...]
    variants: tuple[str, ...]
    sources: tuple[Prescribed, ...]


class Blank(NamedTuple):
    """A line of the model form, and what the trader filled in; empty for what the consumer writes."""

    text: str
    value: str = ""


def pinned(shop: Shop, law: Law, rule: str, wording: str, language: str = "fr") -> Prescribed | Refusal | None:
    """The text of a rule in force, from the shop's counsel where he gave one, else from the book; None before its time.

    Counsel's text lies in `shop.texts[slot]`, its hash in `shop.legal.counsel_texts[slot]`. A text in another language
    than French is used only when counsel pinned it as `slot.language`.
    """
    book, day = law
    if rule not in book.on(day):
        return None
    found = book.rule(rule, day)
    given, slot = found.wordings[wording], f"{rule}.{wording}"
    for name, spoken in ((f"{slot}.{language}", language), (slot, "fr")):
        wanted = shop.legal.counsel_texts.get(name)
        if wanted is None:
            continue
        text = shop.texts.get(name, {}).get(spoken, "")
        if sha256(text.encode()).hexdigest() != wanted:
            field = f"texts.{name}.{spoken}"
            return Refusal(field, "is not the text whose hash counsel gave", rule, given.article)
        return Prescribed(
            slot=name, version=found.version, article=given.article, source="counsel", sha256=wanted, text=text,
            language=spoken, by_counsel=True,
        )  # fmt: skip
    if given.text is None or given.sha256 is None:
        field = f"legal.counsel_texts.{slot}"
        return Refusal(field, "the prescribed text is missing: counsel supplies it", rule, given.article)
    return Prescribed(
        slot=slot, version=found.version, article=given.article, source=given.source, sha256=given.sha256,
        text=given.text,
    )  # fmt: skip


def renewing(shop: Shop, law: Law, language: str = "fr") -> list[Prescribed | Refusal]:
    """The articles that contracts on services with tacit renewal reproduce in full (L215-4)."""
    book, day = law
    rule = book.on(day).get("B24")
    found = () if rule is None else (pinned(shop, law, rule.id, name, language) for name in rule.wordings)
    return [text for text in found if text is not None]


def variant_of(kind: str, *, regular: bool, lots: bool, separately: bool, names: Mapping[str, str]) -> str:
    """The letter of instruction (1) for a line; `names`: the letters as rule B02 gives them."""
    if kind != "goods":
        return names["conclusion"]
    if regular:
        return names["regular"]
    if lots:
        return names["lots"]
    return names["separately" if separately else "goods"]


class Choices(NamedTuple):
    """What decides the alternatives of the notice. `groups`: letter of (1) and the goods meant (empty: all).

    `returns`: goods and amounts for return by other means than the post; `collects`: the trader fetches the goods.
    """

    groups: Sequence[tuple[str, str]]
    goods: bool
    services: bool
    function_url: str
    cost_borne_by: str
    returns: Sequence[tuple[str, str]] = ()
    postable: bool = True  # some of the goods can be sent back by post
    collects: bool = False


def notice(shop: Shop, law: Law, choices: Choices) -> Notice | Refusal:
    """The notice for these choices, word for word. Refuses what the trader would have to say and did not.

    It stays in French whatever the page speaks: its blanks and alternatives are those of the French annex.
    """
    model, rules = pinned(shop, law, "B01", "notice"), pinned(shop, law, "B01", "instructions")
    function = pinned(shop, law, "B10", "function")
    if isinstance(function, Refusal):
        return function
    for text in (model, rules):
        if not isinstance(text, Prescribed):
            return text or Refusal("law_on", "there is no notice on this day", "B01", "L221-18")
    assert isinstance(model, Prescribed)
    assert isinstance(rules, Prescribed)
    if choices.goods and not choices.cost_borne_by:
        return Refusal("legal.return_cost_borne_by", "who bears the cost of return is not said", "A01", "L221-5 I")
    if function is not None and not choices.function_url:
        field = "legal.withdrawal_function_url"
        return Refusal(field, "the place of the online function is not said", "B10", "L221-5 I 7°")
    passages = _passages(rules.text)
    parts: list[Part] = []
    for paragraph in model.paragraphs:
        parts += _filled(paragraph, shop.trader, choices, passages, function)
    sources = tuple(text for text in (model, rules, function) if isinstance(text, Prescribed))
    return Notice(parts=tuple(parts), variants=tuple(letter for letter, _ in choices.groups), sources=sources)


def _passages(text: str) -> dict[str, list[str]]:
    """The passages between quotation marks of the instructions, by number; those of (1) by number and letter."""
    found: dict[str, list[str]] = {}
    number = ""
    for line in text.splitlines():
        if begins := re.match(r"\((\d)\)", line):
            number = begins[1]
        letter = re.match(r"([a-e])\) ", line)
        key = f"{number}{letter[1]}" if number == "1" and letter else number
        found.setdefault(key, []).extend(match.strip() for match in _QUOTED.findall(line))
    return found


def _filled(
    paragraph: str, trader: Trader, choices: Choices, passages: dict[str, list[str]], function: Prescribed | None
) -> list[Part]:
    if "(1)" in paragraph:
        return [Part(paragraph.replace("(1).", passages[f"1{letter}"][0]), about) for letter, about in choices.groups]
    if paragraph == "(5)":
        return _return(choices, passages["5"]) if choices.goods else []
    if paragraph == "(6)":
        return [Part(_services_alone(passages["6"][0]))] if choices.services else []
    said = ", ".join(part for part in (trader.name, trader.address, trader.phone, trader.email) if part)
    text = paragraph.replace("(2)", f"({said})")
    if "(3)" in text:
        sentence = "" if function is None else " " + _BLANK.sub(choices.function_url, function.text)
        text = text.replace(" (3).", f".{sentence}")
    if "(4)" in text:
        wait = f" {passages['4'][0]}" if choices.goods and not choices.collects else ""
        text = text.replace(" (4).", f".{wait}")
    heading = not text.endswith(".")
    return [Part(text, heading=heading)]


def _return(choices: Choices, given: list[str]) -> list[Part]:
    """Instruction (5): a) who fetches or sends, b) who pays, c) what the consumer answers for."""
    fetch, send, trader_pays, consumer_pays, amount = given[:5]
    parts = [Part(f"{fetch}.") if choices.collects else Part(_to_ourselves(send))]
    if choices.cost_borne_by == "trader":
        parts.append(Part(trader_pays))
    else:
        parts += [Part(consumer_pays)] if choices.postable else []
        parts += [Part(amount.replace("... EUR [insérer le montant]", sum_), about) for about, sum_ in choices.returns]
    return [*parts, Part(given[-1])]


def _to_ourselves(text: str) -> str:
    """The passage without its blank for another person who may receive the goods, which the annex makes optional."""
    return re.sub(r" ou à \.\.\. \[[^\]]*\]", "", text)


def _services_alone(text: str) -> str:
    """The passage without water, gas and the like, as its instruction to strike out what does not apply says."""
    return re.sub(r" ou la fourniture [^\[]*\[[^\]]*\]", "", text)


def filled_form(
    shop: Shop, law: Law, ordered: str = "", goods: str = "", buyer: str = ""
) -> tuple[Blank, ...] | Refusal:
    """The model form with the trader's data, and what is known of the order; the rest stays blank."""
    text = pinned(shop, law, "B11", "form")
    if not isinstance(text, Prescribed):
        return text or Refusal("law_on", "there is no model form on this day", "B11", "R221-1 annex")
    trader = shop.trader
    said = ", ".join(part for part in (trader.name, trader.address, trader.email) if part)
    lines = []
    for paragraph in text.paragraphs:
        value = ""
        if paragraph.startswith("Commandé"):
            value = ordered
        elif paragraph.startswith("Je/nous"):
            value = goods
        elif paragraph.startswith("Nom "):
            value = buyer
        lines.append(Blank(_BLANK.sub(said, paragraph), value))
    return tuple(lines)
