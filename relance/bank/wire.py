"""Stripe's wire format: nested forms in, objects and errors out."""

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

__all__ = ["ApiError", "Json", "new_id", "parse_form", "public", "whole_number"]

Json = dict[str, Any]

_DEPTH_MAX: Final = 6
_FIELDS_MAX: Final = 500
_KEY: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART: Final = re.compile(r"\[([^\[\]]*)\]")


class ApiError(Exception):
    """An answer that is an error, as Stripe words it. `status`: of HTTP."""

    def __init__(self, status: int, kind: str, message: str, *, code: str = "", param: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.code = code
        self.param = param

    def body(self) -> Json:
        """The answer's body."""
        error = {"type": self.kind, "message": self.message, "code": self.code, "param": self.param}
        return {"error": {name: value for name, value in error.items() if value}}


def new_id(prefix: str) -> str:
    """An id such as `pi_…`; nobody guesses it."""
    return f"{prefix}_{secrets.token_urlsafe(24).replace('-', 'x').replace('_', 'y')}"


def parse_form(text: str) -> Json:
    """`a[b][0]=c` as nested objects; `[0]`, `[1]` and `[]` make lists. Raises ApiError for a form that is none."""
    form: Json = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise ApiError(400, "invalid_request_error", "Too many parameters") from None
    for key, value in pairs:
        found = _KEY.fullmatch(key)
        if found is None:
            raise ApiError(400, "invalid_request_error", f"Invalid parameter name: {key!r}", param=key)
        path = [found[1], *_PART.findall(found[2])]
        if len(path) > _DEPTH_MAX:
            raise ApiError(400, "invalid_request_error", f"Too deep: {key!r}", param=key)
        _put(form, path, value)
    return {name: _with_lists(value) for name, value in form.items()}


def public(value: Any) -> Any:
    """The object without what is the bank's own (names that begin with an underscore)."""
    if isinstance(value, dict):
        return {name: public(part) for name, part in value.items() if not name.startswith("_")}
    if isinstance(value, list):
        return [public(part) for part in value]
    return value


def whole_number(form: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A field that is a whole number of at least 0. Raises ApiError otherwise."""
    value = form.get(name, default)
    if isinstance(value, int):
        return value
    if value is None:
        raise ApiError(
            400, "invalid_request_error", f"Missing required param: {name}.", code="parameter_missing", param=name
        )
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 12:
        raise ApiError(
            400, "invalid_request_error", f"Invalid integer: {value}", code="parameter_invalid_integer", param=name
        )
    return int(value)


def _put(into: Json, path: list[str], value: str) -> None:
    for place, name in enumerate(path[:-1]):
        inner = into.setdefault(name or str(len(into)), {})
        if not isinstance(inner, dict):
            raise ApiError(400, "invalid_request_error", "A parameter is both a value and an object", param=path[place])
        into = inner
    into[path[-1] or str(len(into))] = value


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(name.isdigit() for name in value):
        return [_with_lists(value[name]) for name in sorted(value, key=int)]
    return {name: _with_lists(part) for name, part in value.items()}
