"""What is wrong with a question or a document, in words for who wrote it: msgspec's messages name Python's types."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["in_words", "place_and_words", "spoilt"]

_KINDS: Final = {
    "object": "an object", "array": "a list", "str": "a text", "int": "a whole number", "float": "a number",
    "bool": "true or false", "null": "nothing", "NoneType": "nothing", "date": "a date", "datetime": "a time",
    "decimal": "a number", "dict": "an object", "list": "a list",
}  # fmt: skip
_DATE: Final = "a date such as 2026-03-02 is needed, one that the calendar has"
_TIME: Final = "a time with its zone is needed, such as 2026-03-02T10:00:00+01:00 (RFC 3339)"
_SAYS: Final = (
    (re.compile(r"^Object missing required field"), "is missing"),
    (re.compile(r"^Object contains unknown field"), "there is no such field"),
    (re.compile(r"^Invalid (?:RFC3339|ISO8601) encoded date$"), _DATE),
    (re.compile(r"^Invalid RFC3339 encoded datetime$|^Expected `datetime` with a timezone"), _TIME),
    (re.compile(r"^Expected `array` of length >= 1$"), "at least one is needed"),
    (re.compile(r"^Expected `(?:array|object|str)` of length <= (\d+)$"), r"no more than \1 are taken"),
    (re.compile(r"^Expected `(?:int|float)` >= (\S+)$"), r"a number not below \1 is needed"),
    (re.compile(r"^Expected `(?:int|float)` <= (\S+)$"), r"a number not above \1 is needed"),
    (
        re.compile(r"^Invalid (?:enum )?value ('.{0,60}).*?('?)$", re.DOTALL),
        r"\1\2 is none of the words that can stand here",
    ),
    (re.compile(r"^Expected `str` matching regex"), "the text is not of the form that is needed here"),
)
_GOT: Final = re.compile(r"^Expected `(?P<wanted>[a-zA-Z| ]+)`, got `(?P<given>\w+)`$")


_AT: Final = re.compile(r" - at `\$\.?(?P<path>.*)`$", re.DOTALL)
_KEY: Final = re.compile(r"field `(?P<name>[^`]*)`")


def place_and_words(message: str) -> tuple[str, str]:
    """(dotted path, plain words) of msgspec's `message`; a missing or unknown key is part of the path."""
    at = _AT.search(message)
    path, reason = (at["path"], message[: at.start()]) if at else ("", message)
    key = _KEY.search(reason)
    if key and reason.startswith("Object "):
        path = f"{path}.{key['name']}" if path else key["name"]
    return path, in_words(reason)


def in_words(message: str) -> str:
    """`message` of a decoding, without its path, in plain words; as it is when nothing here knows it."""
    for pattern, words in _SAYS:
        if found := pattern.search(message):
            return found.expand(words)
    found = _GOT.match(message)
    if found is None:
        return message
    kinds = found["wanted"].replace(" ", "").split("|")
    if kinds == ["datetime"]:
        return _TIME
    if kinds == ["date"]:
        return _DATE
    wanted = " or ".join(_KINDS.get(kind, kind) for kind in kinds)
    given = "a fraction" if found["given"] == "float" else _KINDS.get(found["given"], found["given"])
    return f"{wanted} is needed, not {given}"


class _Twice:
    """Stands for an object in which a key is given twice."""

    def __init__(self, key: str) -> None:
        self.key = key


def _pairs(given: list[tuple[str, Any]]) -> dict[str, Any] | _Twice:
    found = dict(given)
    if len(found) == len(given):
        return found
    seen: set[str] = set()
    for key, _ in given:
        if key in seen:
            break
        seen.add(key)
    return _Twice(key)


def spoilt(line: bytes) -> tuple[str, str] | None:
    """(dotted path, plain words) of the first value that JSON itself has no place for: a number such as NaN, or a key
    that is given twice, of which readers take now the one and now the other. None for whatever has neither.
    """
    try:
        plain = json.loads(line, object_pairs_hook=_pairs)
    except (ValueError, RecursionError):
        return None
    return next(_spoilt(plain, ""), None)


def _spoilt(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, _Twice):
        yield f"{path}.{value.key}" if path else value.key, "is given twice"
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, "a number is needed that can be counted with"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _spoilt(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _spoilt(item, f"{path}[{place}]")
