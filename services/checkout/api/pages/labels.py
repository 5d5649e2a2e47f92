"""What the controls of withdrawal and termination are called, and how long rights last: as the law has it, from the
book, never typed.
"""

from functools import cache
from typing import Final, Literal, NamedTuple

from relance.rules.law.book import default_book

__all__ = ["Control", "Label", "figure_of", "label_of"]

Control = Literal["withdraw", "confirm", "terminate", "notify"]

_PRESCRIBED: Final[dict[str, tuple[str, str]]] = {  # rule and wording
    "withdraw": ("B05", "entry"),
    "confirm": ("B07", "confirm"),
    "terminate": ("B20", "terminate"),
    "notify": ("B22", "notify"),
}
_ENGLISH: Final = {  # of directive 2011/83/EU, article 11a; the French decree on termination has no English
    "confirm": "confirm withdrawal",
    "terminate": "terminate your contract",
    "notify": "notify the termination",
}


class Label(NamedTuple):
    """The words of a control, and their language."""

    text: str
    language: str


@cache
def label_of(control: Control, language: str) -> Label:
    """The words of a control in the language of a page: the prescribed ones in French, those of the directive in
    English where it has them.
    """
    id_, wording = _PRESCRIBED[control]
    rule = default_book().versions(id_)[-1]
    if language == "en":
        known = rule.parameters.get("labels", ())
        return Label(known[1] if len(known) > 1 else _ENGLISH[control], "en")
    text = rule.wordings[wording].text
    assert text is not None, f"{id_} quotes its label"
    return Label(text.strip(), "fr")


@cache
def figure_of(rule: str, name: str) -> int:
    """A number of the law as it stands: days, months, years."""
    return int(default_book().versions(rule)[-1].parameters[name])
