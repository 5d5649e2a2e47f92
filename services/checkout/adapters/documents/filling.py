"""What fills the templates of documents: text as text, what is missing as an error, the law's words by their hash."""

import re
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from typing_extensions import override

from relance.kernel.errors import Defect
from services.checkout.adapters.documents.words import french

__all__ = ["EXCEPTIONS_SHA256", "environment", "exceptions_of_law"]

HERE: Final = Path(__file__).parent
EXCEPTIONS_SHA256: Final = "d4b0c08db6076f9b9745dbcf18161670fe7fae066832c47cd7a4694e258de8ef"  # L221-28, 2026-04-03


def environment() -> Environment:
    """What fills the templates: what it is given is text, and a name that is missing is an error."""
    made = Environment(
        loader=_Templates(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"article": _article, "paragraphs": _paragraphs}
    return made


class _Templates(FileSystemLoader):
    """Templates; those of French pages get the unbreakable spaces of French, what they fill in stays as it is."""

    @override
    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, path, fresh = super().get_source(environment, template)
        if template.startswith("fr/"):
            parts = re.split(r"(\{[{%#].*?[#%}]\}|<[^>]*>)", source, flags=re.DOTALL)
            source = "".join(part if place % 2 else french(part) for place, part in enumerate(parts))
        return source, path, fresh


def _paragraphs(text: str) -> list[str]:
    return [" ".join(block.split()) for block in re.split(r"\n\s*\n", text) if block.strip()]


def _article(number: str) -> str:
    """An article of a code as it is cited: ``D. 211-2`` of ``D211-2``."""
    return re.sub(r"^([LRD])\s*(?=\d)", "\\1.\u00a0", number)


class _Exceptions(dict[int, str]):
    """The numbers of L221-28 in the words of the article. `intro`: its first words."""

    intro = ""


@cache
def exceptions_of_law() -> _Exceptions:
    """The exceptions of L221-28 by number, in the words of the article; `intro` begins them."""
    text = (HERE / "texts" / "l221-28.txt").read_text(encoding="utf-8").removesuffix("\n")
    if sha256(text.encode()).hexdigest() != EXCEPTIONS_SHA256:
        raise Defect("the text of L221-28 is not the one that was read")
    intro, *entries = re.split(r"\n(?=\d+° )", text)
    found = _Exceptions()
    found.intro = intro.strip()
    for entry in entries:
        number, said = entry.split("° ", 1)
        found[int(number)] = f"{number}° {' '.join(said.split()).rstrip(' ;')}"
    return found
