"""Canonical JSON (RFC 8785) without fractions: one value has one text, so a hash of the text is one of the value."""

import json
from typing import Any, Final, TypeAlias

from relance.kernel.errors import InputError

__all__ = ["DEPTH_MAX", "INTEGER_MAX", "Plain", "canonical", "parse"]

Plain: TypeAlias = "bool | int | str | list[Plain] | tuple[Plain, ...] | dict[str, Plain] | None"

DEPTH_MAX: Final = 32
INTEGER_MAX: Final = 2**53 - 1  # beyond it readers that take numbers for doubles would see another one


def canonical(value: Any) -> bytes:
    """The UTF-8 bytes of `value`: None, truth values, integers, texts, lists, tuples and maps with text keys.

    Raises InputError for anything else: fractions, integers beyond 2^53 - 1, halves of surrogate pairs, more than
    32 levels.
    """
    try:
        return json.dumps(_ordered(value, 0), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise InputError("evidence holds half of a surrogate pair, which no UTF-8 text can") from None


def _ordered(value: Any, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise InputError(f"evidence is nested more than {DEPTH_MAX} levels deep")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise InputError(f"evidence holds the integer {value}, beyond 2^53 - 1: write it as text")
        return value
    if isinstance(value, list | tuple):
        return [_ordered(each, depth + 1) for each in value]
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise InputError("evidence holds a map whose keys are not texts")
        # RFC 8785 orders keys by UTF-16 code units, as ECMAScript does
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return {name: _ordered(value[name], depth + 1) for name in names}
    raise InputError(f"evidence holds a {type(value).__name__}; it takes no fractions and no other kinds of value")


def parse(data: bytes) -> Any:
    """The value of canonical bytes. Raises InputError when they are not JSON, or not in their one canonical form."""
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError
        raise InputError(f"not JSON in UTF-8: {error}") from None
    if canonical(value) != data:
        raise InputError("not in canonical form (RFC 8785): order of keys, spaces, escapes or numbers differ")
    return value
