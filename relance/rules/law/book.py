"""The book of law: typed rules with the days on which they are in force, loaded from YAML."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from functools import cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self

import msgspec

from relance.kernel.errors import DefinitionsError, InputError
from relance.rules.law.nodes import Entry, entries

__all__ = ["RULES", "Book", "NotInForce", "Rule", "Severity", "Source", "Wording", "default_book"]

RULES: Final = Path(__file__).parents[3] / "rules" / "law"
PLAIN: Final = ("Code de la consommation", "CPCE")  # their articles are cited by number alone
JURISDICTIONS: Final = ("eu", "fr")

Severity = Literal["block", "warn", "out"]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class NotInForce(InputError, LookupError):  # noqa: N818 - the name says what the caller should understand
    """A rule that no book has, or that is not in force on the day asked for; the text says when it was or will be."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a rule comes from. `code` is a key of the book's codes; `url` leads to the code or the act."""

    code: Text
    article: Text
    url: str = ""


class Wording(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A prescribed text, pinned by the SHA-256 of its UTF-8 bytes, or a named slot that the shop's counsel fills."""

    article: Text
    source: Text
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None
    text: Text | None = None

    @property
    def slot(self) -> bool:
        """Whether the book has no text of its own: the shop's counsel supplies it, and nothing is published before."""
        return self.text is None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of one rule. `valid_to` is exclusive; `dated` says whether `valid_from` was read or is known only."""

    id: Annotated[str, msgspec.Meta(pattern="^[A-Z][0-9]{2}$")]
    version: Annotated[int, msgspec.Meta(ge=1)]
    jurisdiction: Literal["eu", "fr"]
    title: Text
    statement: Text
    sources: Annotated[tuple[Source, ...], msgspec.Meta(min_length=1)]
    valid_from: date
    valid_to: date | None = None
    dated: Literal["read", "known"] = "known"
    applies_by: Literal["contract", "display", "act"]
    severity: Severity
    reason: str = ""
    reading: Literal["settled", "U"] = "settled"
    evidence: Literal["V1", "V2", "K", "U"]
    consequence: str = ""
    parameters: dict[str, Any] = {}
    parameter_articles: dict[str, str] = {}
    wordings: dict[str, Wording] = {}

    def in_force(self, day: date) -> bool:
        """Whether this version is in force on `day`."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)

    @property
    def article(self) -> str:
        """The first source's article: what an answer cites. An act other than the two codes that answers live by is
        named before it.
        """
        first = self.sources[0]
        return first.article if first.code in PLAIN else f"{first.code}, {first.article}"


class Book:
    """All versions of all rules. Immutable once built."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._versions: dict[str, tuple[Rule, ...]] = {}
        for rule in sorted(rules, key=lambda rule: (rule.id, rule.valid_from)):
            self._versions[rule.id] = (*self._versions.get(rule.id, ()), rule)
        turns = {day for rule in self.all() for day in (rule.valid_from, rule.valid_to) if day is not None}
        self._turns = sorted(turns)  # between two of them the law is the same on all days
        self._periods: dict[int, Mapping[str, Rule]] = {}

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The book that lies in `directory`: codes.yaml, eu/*.yaml, fr/*.yaml, texts/*.

        It reads the disk, so a program calls it once, when it starts. Raises DefinitionsError with file, line and
        reason at the first fault.
        """
        codes = _codes(directory / "codes.yaml")
        read: list[tuple[Rule, Entry]] = []
        for jurisdiction in JURISDICTIONS:
            for path in sorted((directory / jurisdiction).glob("*.yaml")):
                found = entries(_text(path), str(path))
                read += [(_rule(entry, jurisdiction, codes, directory / "texts"), entry) for entry in found]
        if not read:
            raise DefinitionsError(str(directory), 1, "holds no rule: eu/*.yaml and fr/*.yaml are missing")
        _refuse_overlaps(read)
        return cls(rule for rule, _ in read)

    def on(self, day: date) -> Mapping[str, Rule]:
        """The rules in force on `day`, by id, in the order of their ids."""
        period = bisect_right(self._turns, day)
        if (found := self._periods.get(period)) is None:
            rules = {rule.id: rule for rule in self.all() if rule.in_force(day)}
            found = self._periods[period] = MappingProxyType(rules)
        return found

    def rule(self, id: str, day: date) -> Rule:  # noqa: A002 - the word of the domain
        """The version of rule `id` in force on `day`. Raises NotInForce with the days on which it is in force."""
        versions = self.versions(id)
        for rule in versions:
            if rule.in_force(day):
                return rule
        raise NotInForce(f"{id} is not in force on {day}: {'; '.join(_validity(rule) for rule in versions)}")

    def versions(self, id: str) -> tuple[Rule, ...]:  # noqa: A002 - the word of the domain
        """All versions of rule `id`, oldest first. Raises NotInForce when the book has no such rule."""
        if id not in self._versions:
            raise NotInForce(f"there is no rule {id!r}")
        return self._versions[id]

    def all(self) -> tuple[Rule, ...]:
        """Every version of every rule, by id, then by date."""
        return tuple(rule for versions in self._versions.values() for rule in versions)


@cache
def default_book() -> Book:
    """The book of this repository, `rules/law`."""
    return Book.load(RULES)


def _validity(rule: Rule) -> str:
    until = f" to {rule.valid_to - timedelta(days=1)}" if rule.valid_to else " on"
    return f"version {rule.version} from {rule.valid_from}{until}"


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError:
        raise DefinitionsError(str(path), 1, "not UTF-8") from None
    except OSError as error:
        raise DefinitionsError(str(path), 1, error.strerror or "cannot be read") from error


def _codes(path: Path) -> dict[str, str]:
    """Code -> address, from codes.yaml."""
    codes: dict[str, str] = {}
    for entry in entries(_text(path), str(path)):
        code, url = entry.value.get("code"), entry.value.get("url")
        if not isinstance(code, str) or not isinstance(url, str) or not url.startswith("https://"):
            raise entry.fault("code", "a code needs a code and an https url")
        codes[code] = url
    return codes


def _rule(entry: Entry, jurisdiction: str, codes: Mapping[str, str], texts: Path) -> Rule:
    value = dict(entry.value)
    value["jurisdiction"] = jurisdiction
    value["sources"] = [_source(entry, source, codes) for source in _list(entry, "sources")]
    value["parameters"], value["parameter_articles"] = {}, {}
    for name, parameter in _mapping(entry, "parameters"):
        if not isinstance(parameter, dict) or set(parameter) != {"value", "article"}:
            raise entry.fault("parameters", f"parameter {name} needs a value and its article, and nothing else")
        value["parameters"][name] = parameter["value"]
        value["parameter_articles"][name] = parameter["article"]
    value["wordings"] = {name: _wording(entry, name, given, texts) for name, given in _mapping(entry, "wordings")}
    try:
        rule = msgspec.convert(value, Rule)
    except msgspec.ValidationError as error:
        raise entry.fault(_key(str(error)), str(error)) from None
    if rule.valid_to is not None and rule.valid_to <= rule.valid_from:
        raise entry.fault("valid_to", f"{rule.id} would end before it is in force")
    if (rule.severity == "out") != bool(rule.reason):
        raise entry.fault("severity", f"{rule.id}: out needs a reason, block and warn have none")
    return rule


def _source(entry: Entry, source: Any, codes: Mapping[str, str]) -> Any:
    if not isinstance(source, dict):
        raise entry.fault("sources", "a source is a mapping of code and article")
    if source.get("code") not in codes:
        raise entry.fault("sources", f"unknown code {source.get('code')!r}: add it to codes.yaml")
    return {"url": codes[source["code"]]} | source


def _wording(entry: Entry, name: str, given: Any, texts: Path) -> Any:
    if not isinstance(given, dict):
        raise entry.fault("wordings", f"wording {name} must be a mapping")
    value = dict(given)
    if (file := value.pop("file", None)) is not None:
        value["text"] = _text(texts / str(file)).removesuffix("\n")
    if (text := value.get("text")) is not None:
        found = _sha256(str(text))
        if value.get("sha256") != found:
            raise entry.fault("wordings", f"wording {name} has the hash {found}, not {value.get('sha256')}")
    elif value.get("sha256") is not None:
        raise entry.fault("wordings", f"wording {name} is a slot: the hash comes with the shop's text")
    return value


def _sha256(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _list(entry: Entry, key: str) -> list[Any]:
    value = entry.value.get(key, [])
    if not isinstance(value, list):
        raise entry.fault(key, f"{key} must be a list")
    return value


def _mapping(entry: Entry, key: str) -> Iterator[tuple[str, Any]]:
    value = entry.value.get(key, {})
    if not isinstance(value, dict):
        raise entry.fault(key, f"{key} must be a mapping")
    yield from value.items()


def _key(message: str) -> str:
    match = re.search(r"`\$\.(\w+)", message) or re.search(r"field `(\w+)`", message)
    return match[1] if match else ""


def _refuse_overlaps(read: list[tuple[Rule, Entry]]) -> None:
    by_id: dict[str, list[tuple[Rule, Entry]]] = {}
    for rule, entry in read:
        by_id.setdefault(rule.id, []).append((rule, entry))
    for id_, versions in by_id.items():
        versions.sort(key=lambda pair: pair[0].valid_from)
        for (before, _), (after, entry) in pairwise(versions):
            if before.valid_to is None or before.valid_to > after.valid_from:
                raise entry.fault("valid_from", f"{id_}: versions {before.version} and {after.version} overlap")
            if after.version <= before.version:
                raise entry.fault("version", f"{id_}: version {after.version} follows version {before.version}")
