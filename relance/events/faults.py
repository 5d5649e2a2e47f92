"""All faults of a value that msgspec refused; msgspec itself stops at the first."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, get_args, get_origin

import msgspec

from relance.events.envelope import Currency, Data, Source, shop_of
from relance.events.money import currency_code

__all__ = ["Problem", "struct_problems"]


_FORMS: Final[dict[Any, Callable[[Any], object]]] = {
    Source: shop_of,
    Currency: currency_code,
    Currency | None: lambda value: None if value is None else currency_code(value),
}


class Problem(msgspec.Struct, frozen=True):
    """One fault; `path` as in ``data.items[2].price_minor``, empty for the event as a whole."""

    path: str
    reason: str


class _Kind:
    """What is to be known of a type, found out once: an optional struct, or array, is walked through its parts."""

    def __init__(self, kind: Any) -> None:
        parts = tuple(_alternatives(kind))
        structs = (part for part in parts if isinstance(part, type) and issubclass(part, msgspec.Struct))
        self.type = kind
        self.form = _FORMS.get(kind)
        self.struct: type[msgspec.Struct] | None = next(structs, None)
        self.item = next((_Kind(get_args(part)[0]) for part in parts if get_origin(part) is tuple), None)


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, bool, _Kind], ...]:
    """Name, whether it must be given, and type of each field."""
    return tuple((field.encode_name, field.required, _Kind(field.type)) for field in msgspec.structs.fields(kind))


def struct_problems(kind: type[msgspec.Struct], value: dict[str, Any], path: str) -> Iterator[Problem]:
    """Faults of an object that should be a `kind`; `path` is where it stands."""
    for name, required, field in _fields(kind):
        here = f"{path}.{name}" if path else name
        if name in value:
            yield from _value_problems(field, value[name], here)
        elif required:
            yield Problem(here, "is required")
    if issubclass(kind, Data) and kind.one_of and all(value.get(name) is None for name in kind.one_of):
        yield Problem(path, f"one of {', '.join(kind.one_of)} is required")


def _value_problems(kind: _Kind, value: object, path: str) -> Iterator[Problem]:
    """Faults of a value that should be of a type."""
    try:
        msgspec.convert(value, kind.type)
        if kind.form is not None:
            kind.form(value)
    except msgspec.ValidationError as error:
        inner = list(_inner_problems(kind, value, path))
        yield from inner or [Problem(path, str(error).split(" - at `", 1)[0])]
    except ValueError as error:
        yield Problem(path, str(error))
    else:
        yield from _inner_problems(kind, value, path)


def _inner_problems(kind: _Kind, value: object, path: str) -> Iterator[Problem]:
    """Faults of the parts of an object or array."""
    if kind.struct is not None and isinstance(value, dict):
        yield from struct_problems(kind.struct, value, path)
    if kind.item is not None and isinstance(value, list):
        for place, part in enumerate(value):
            yield from _value_problems(kind.item, part, f"{path}[{place}]")


def _alternatives(kind: Any) -> Iterator[Any]:
    """The types in an optional or annotated type."""
    if isinstance(kind, type):
        yield kind
    elif hasattr(kind, "__metadata__"):
        yield from _alternatives(kind.__origin__)
    elif get_origin(kind) is tuple:
        yield kind
    else:
        for part in get_args(kind):
            yield from _alternatives(part)
