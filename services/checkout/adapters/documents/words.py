"""Words and forms of a language: its catalogue, and how it writes sums, dates and instants."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal

from relance.kernel.errors import Defect
from relance.rules.law.calendar import PARIS

__all__ = ["LANGUAGES", "Words", "french", "words"]

HERE: Final = Path(__file__).parent
LANGUAGES: Final = {"fr": "fr_FR", "en": "en_GB"}
_HIGH: Final = re.compile(r" (?=[;?!])")
_WIDE: Final = re.compile(r"(?<=«) | (?=[:»%€])")
_NUMBER: Final = re.compile(r"(?<=n°) | (?=TTC)|(?<=article [LRD]\.) |(?<=articles [LRD]\.) |(?<=et [LRD]\.) ")


class Words:
    """The words of one language. A key that is missing is a defect, never an empty place on a page."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._locale = Locale.parse(LANGUAGES[language])
        self._texts: dict[str, str] = {}
        for path in sorted((HERE / "words").glob(f"**/{language}.yaml")):
            self._texts |= dict(_leaves("", yaml.safe_load(path.read_text(encoding="utf-8"))))
        if language == "fr":
            self._texts = {key: french(value) for key, value in self._texts.items()}

    def __call__(self, key: str, **values: Any) -> str:
        """The words of a dotted key, their blanks filled."""
        if key not in self._texts:
            raise Defect(f"no words for {key} in {self.language}")
        return self._texts[key].format(**values)

    def names(self) -> frozenset[str]:
        """All dotted keys."""
        return frozenset(self._texts)

    def euro(self, minor: int) -> str:
        """A sum of cents: ``49,90 €``."""
        return format_currency(Decimal(minor) / 100, "EUR", locale=self._locale)

    def percent(self, rate: str) -> str:
        """A rate without its sign: ``5,5``."""
        return format_decimal(Decimal(rate), locale=self._locale)

    def day(self, day: date) -> str:
        """A date in full: ``23 novembre 2026``; in French the first of a month is ``1er``."""
        said = format_date(day, "long", locale=self._locale)
        return re.sub(r"^1 ", "1er ", said) if self.language == "fr" else said

    def day_of(self, at: datetime) -> str:
        """The date of an instant in Paris."""
        return self.day(at.astimezone(PARIS).date())

    def instant(self, at: datetime, *, seconds: bool = False) -> str:
        """A date and time as clocks in Paris showed them."""
        local = at.astimezone(PARIS)
        clock = format_time(local.replace(tzinfo=None), "HH:mm:ss" if seconds else "HH:mm", locale=self._locale)
        return f"{self.day(local.date())} {'à' if self.language == 'fr' else 'at'} {clock}"

    def country(self, code: str) -> str:
        """The name of a country."""
        return str(self._locale.territories.get(code, code))

    def tongue(self, code: str) -> str:
        """The name of a language."""
        return str(self._locale.languages.get(code, code))


@cache
def words(language: str) -> Words:
    """The words of a language. Raises Defect for one that the documents do not speak."""
    if language not in LANGUAGES:
        raise Defect(f"no documents in {language}")
    return Words(language)


def _leaves(path: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [leaf for name, part in value.items() for leaf in _leaves(f"{path}.{name}" if path else name, part)]
    return [(path, " ".join(str(value).split(" ")))]


def french(text: str) -> str:
    """Unbreakable spaces where French typography wants them."""
    return _NUMBER.sub("\u00a0", _WIDE.sub("\u00a0", _HIGH.sub("\u202f", text)))
