"""What a rule of the book counts with, and how well its text is known, in words for who does not read JSON."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["KNOWN", "in_words"]

KNOWN: Final[Mapping[str, str]] = {
    "V1": "the text of the law was read (V1)",
    "V2": "a source that reports the text was read, not the text itself (V2)",
    "K": "the rule is generally known, no source was read (K)",
    "U": "a reading of ours that counsel should see (U)",
}


def in_words(value: Any) -> str:
    """A parameter: brackets day by day, lists with commas, tables with colons."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return _bracket(value) if "until_days" in value else _table(value)
    if isinstance(value, list | tuple | set | frozenset):
        between = "; " if any(isinstance(one, Mapping) for one in value) else ", "
        return between.join(in_words(one) for one in value)
    return "none" if value is None else str(value)


def _bracket(value: Mapping[str, Any]) -> str:
    until, percent = value["until_days"], value["percent"]
    when = "after that" if until is None else f"up to {until} days late"
    return f"{when} the legal rate" if percent is None else f"{when} {percent} %"


def _table(value: Mapping[Any, Any]) -> str:
    if {"first", "last", "percent"} <= value.keys():
        return f"{value['percent']} % from {value['first']} to {value['last']}"
    nested = any(isinstance(one, Mapping) for one in value.values())
    return ("; " if nested else ", ").join(f"{name}: {in_words(one)}" for name, one in value.items())
