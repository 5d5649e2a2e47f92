"""What a computation needs of a rule: its parameters, typed; and the one way to say that a question has no answer."""

import builtins
from datetime import date
from typing import Any, TypeVar

import msgspec

from relance.kernel.errors import Defect, InputError
from relance.rules.law.book import Book, Rule

__all__ = ["Unanswerable", "parameters"]

T = TypeVar("T", bound=msgspec.Struct)


class Unanswerable(InputError):  # noqa: N818 - the name says what the caller should understand
    """A question that is ill-formed or that the book cannot answer; `field` is dotted, "" for the whole."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def parameters(book: Book, id: str, day: date, kind: type[T]) -> T:  # noqa: A002 - the word of the domain
    """The parameters of rule `id` in force on `day`; those that `kind` does not name are for others.

    Raises NotInForce; Defect when the book gives a parameter another shape than its computation.
    """
    rule = book.rule(id, day)
    key = (builtins.id(rule), kind)
    found = _TYPED.get(key)
    if found is None:
        if len(_TYPED) >= 4096:
            _TYPED.clear()
        found = _TYPED[key] = (rule, _typed(rule, kind))  # the rule is kept, so that its id stays its own
    made: T = found[1]
    return made


_TYPED: dict[tuple[int, type[msgspec.Struct]], tuple[Rule, Any]] = {}


def _typed(rule: Rule, kind: type[T]) -> T:
    try:
        return msgspec.convert(rule.parameters, kind)
    except msgspec.ValidationError as error:
        raise Defect(f"rule {rule.id}, version {rule.version}: its parameters do not fit: {error}") from None
