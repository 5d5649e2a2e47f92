"""How people write the number of an order or a contract: eight letters, or the whole id."""

import re
from typing import Final

__all__ = ["is_number", "number_in", "numbers_in"]

_NUMBER: Final = re.compile(r"(?i)(?<![0-9a-z-])[0-9a-f]{8}(?:(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?(?![0-9a-z-])")
_AROUND: Final = re.compile(r"(?i)commande|order|contrat|contract|num[eé]ro|number|n[o°º]|no\.|[#:.,;\s\u00a0\u202f]")


def number_in(text: str) -> str:
    """The first number of an order in a text, in small letters; empty when it has none."""
    found = _NUMBER.search(text)
    return "" if found is None else found[0].lower()


def numbers_in(text: str) -> tuple[str, ...]:
    """All of them, each once, in small letters."""
    return tuple(dict.fromkeys(found.lower() for found in _NUMBER.findall(text)))


def is_number(text: str) -> bool:
    """Whether a text names an order by its number and says nothing else."""
    found = _NUMBER.findall(text)
    return len(found) == 1 and not _AROUND.sub("", _NUMBER.sub("", text))
