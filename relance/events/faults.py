"""All faults of a value that msgspec refused; msgspec itself stops at the first."""

from collections.abc import Callable, Iterator
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


def struct_problems(kind: type[msgspec.Struct], value: dict[str, Any], path: str) -> Iterator[Problem]:
    """Faults of an object that should be a `kind`; `path` is where it stands."""
    for field in msgspec.structs.fields(kind):
        here = f"{path}.{field.encode_name}" if path else field.encode_name
        if field.encode_name in value:
            yield from _value_problems(field.type, value[field.encode_name], here)
        elif field.required:
            yield Problem(here, "is required")
    if issubclass(kind, Data) and kind.one_of and all(value.get(name) is None for name in kind.one_of):
        yield Problem(path, f"one of {', '.join(kind.one_of)} is required")


def _value_problems(kind: Any, value: object, path: str) -> Iterator[Problem]:
    """Faults of a value that should be a `kind`."""
    try:
        msgspec.convert(value, kind)
        form = _FORMS.get(kind)
        if form is not None:
            form(value)
    except msgspec.ValidationError as error:
        inner = list(_inner_problems(kind, value, path))
        yield from inner or [Problem(path, str(error).split(" - at `", 1)[0])]
    except ValueError as error:
        yield Problem(path, str(error))
    else:
        yield from _inner_problems(kind, value, path)


def _inner_problems(kind: Any, value: object, path: str) -> Iterator[Problem]:
    """Faults of the parts of an object or array."""
    struct = _struct_of(kind)
    if struct is not None and isinstance(value, dict):
        yield from struct_problems(struct, value, path)
    item = _item_of(kind)
    if item is not None and isinstance(value, list):
        for place, part in enumerate(value):
            yield from _value_problems(item, part, f"{path}[{place}]")


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


def _struct_of(kind: Any) -> type[msgspec.Struct] | None:
    parts = (part for part in _alternatives(kind) if isinstance(part, type))
    return next((part for part in parts if issubclass(part, msgspec.Struct)), None)


def _item_of(kind: Any) -> Any:
    return next((get_args(part)[0] for part in _alternatives(kind) if get_origin(part) is tuple), None)
