"""Settings: one frozen Struct per service, read once from the environment, all errors told at once."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from relance.kernel.errors import InputError

__all__ = ["read"]

T = TypeVar("T", bound=msgspec.Struct)


def read(kind: type[T], prefix: str, environ: Mapping[str, str]) -> T:
    """Fill `kind` from variables `<prefix>_<FIELD>`; `RELANCE_KAFKA` and the like are fields with their own full name.

    Raises InputError that names every variable that is missing or ill-formed.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in msgspec.structs.fields(kind):
        name = field.encode_name if field.encode_name.isupper() else f"{prefix}_{field.name.upper()}"
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
