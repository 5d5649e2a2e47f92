"""Settings: one frozen Struct per service, read once from the environment, all errors told at once."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import NODEFAULT
from msgspec.structs import FieldInfo

from relance.kernel.errors import InputError

__all__ = ["explained", "read"]

T = TypeVar("T", bound=msgspec.Struct)


def read(kind: type[T], prefix: str, environ: Mapping[str, str]) -> T:
    """Fill `kind` from variables `<prefix>_<FIELD>`; `RELANCE_KAFKA` and the like are fields with their own full name.

    Raises InputError that names every variable that is missing or ill-formed.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in msgspec.structs.fields(kind):
        name = _variable(field, prefix)
        if name not in environ:
            if field.required:
                problems.append(f"{name} is not set")
            continue
        try:
            values[field.name] = msgspec.convert(environ[name], field.type, strict=False)
        except msgspec.ValidationError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise InputError("settings: " + "; ".join(problems))
    return kind(**values)


def explained(kind: type[msgspec.Struct], prefix: str, arguments: Sequence[str]) -> str | None:
    """What a service says instead of starting: None without arguments, with `--help` the first line of `kind` and each
    variable with its default. Raises InputError for any other argument, which it would else leave unread.
    """
    if not arguments:
        return None
    if list(arguments) not in (["--help"], ["-h"]):
        raise InputError(f"{arguments[0]!r} is not known: this is set by variables alone; --help lists them")
    fields = [(_variable(field, prefix), _default(field)) for field in msgspec.structs.fields(kind)]
    width = max(len(name) for name, _ in fields)
    lines = [f"  {name.ljust(width)}  {default}".rstrip() for name, default in fields]
    return "\n".join(
        [(kind.__doc__ or "").partition("\n")[0], "", "Variables, with what holds where none is set:", *lines, ""]
    )


def _variable(field: FieldInfo, prefix: str) -> str:
    return field.encode_name if field.encode_name.isupper() else f"{prefix}_{field.name.upper()}"


def _default(field: FieldInfo) -> str:
    if field.required:
        return "must be set"
    value = field.default if field.default is not NODEFAULT else field.default_factory()
    return str(value).lower() if isinstance(value, bool) else str(value)
