"""Where each enforced rule finds its meaning: id -> the function that looks at a document."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, NamedTuple

from relance.rules.law.book import Rule
from relance.rules.law.document import STAGES, Document

__all__ = ["MEANINGS", "Check", "Fault", "Meaning", "meaning"]


class Fault(NamedTuple):
    """What a document lacks. `field` is its dotted path; `article` "" is the rule's first; `warn`: never blocks."""

    field: str
    reason: str
    article: str = ""
    warn: bool = False


Check = Callable[[Rule, Document, datetime], Iterator[Fault]]


class Meaning(NamedTuple):
    """A check and the first stage at which it can be made."""

    check: Check
    stage: int


MEANINGS: Final[dict[str, Meaning]] = {}


def meaning(id: str, stage: str = "recap") -> Callable[[Check], Check]:  # noqa: A002 - the word of the domain
    """Register a function as the meaning of rule `id`, from `stage` on."""

    def register(check: Check) -> Check:
        assert id not in MEANINGS, f"{id} has two meanings"
        MEANINGS[id] = Meaning(check, STAGES[stage])
        return check

    return register
