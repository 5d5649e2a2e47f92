"""The order button: whether its accessible name says that an order obliges to pay. Rules A04, A05; article L221-14.

Only the words on the button count (CJEU C-249/21). What nobody has read yet is refused until counsel has.
"""

import unicodedata
from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

__all__ = ["ButtonLists", "ButtonVerdict", "check_button", "folded"]


class ButtonLists(msgspec.Struct, frozen=True):
    """Names by language: `allowed` by the text of the law, `by_guidance` (a reading), `denied`."""

    allowed: dict[str, frozenset[str]]
    by_guidance: dict[str, frozenset[str]]
    denied: dict[str, frozenset[str]]


class ButtonVerdict(NamedTuple):
    """`status` says on which list the name stands; `unsettled`: the answer rests on a reading."""

    allowed: bool
    status: Literal["not_applicable", "allowed", "by_guidance", "denied", "unknown"]
    unsettled: bool


def check_button(
    accessible_name: str, language: str, *, due_now_minor: int, due_later_minor: int, lists: ButtonLists
) -> ButtonVerdict:
    """Whether the name may stand on the button that concludes this order.

    The rule holds as soon as anything will ever be due: a free trial or a later payment changes nothing (CJEU
    C-400/22). An order that never costs anything needs no such words.
    """
    if due_now_minor == 0 and due_later_minor == 0:
        return ButtonVerdict(allowed=True, status="not_applicable", unsettled=False)
    name, spoken = folded(accessible_name), language.lower().replace("_", "-").split("-")[0]
    if name in _names(lists.allowed, spoken):
        return ButtonVerdict(allowed=True, status="allowed", unsettled=False)
    if name in _names(lists.by_guidance, spoken):
        return ButtonVerdict(allowed=True, status="by_guidance", unsettled=True)
    if name in _names(lists.denied, spoken):
        return ButtonVerdict(allowed=False, status="denied", unsettled=False)
    return ButtonVerdict(allowed=False, status="unknown", unsettled=True)


def _names(by_language: Mapping[str, frozenset[str]], language: str) -> set[str]:
    return {folded(name) for name in by_language.get(language, ())}


def folded(name: str) -> str:
    """Small letters, plain spaces and apostrophes: differences that nobody hears."""
    plain = unicodedata.normalize("NFKC", name).replace("\u2019", "'")
    return " ".join(plain.casefold().split())
