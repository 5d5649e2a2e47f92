"""The languages of the pages: words from the catalogues, and how money, days and hours are written."""

from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

from babel import Locale
from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from relance.rules.law.calendar import PARIS

__all__ = ["LANGUAGES", "Tongue", "load_tongues"]

LANGUAGES: Final = ("fr", "en")
_CATALOGUES: Final = Path(__file__).parent / "locale"
_BABEL: Final = {"fr": "fr_FR", "en": "en_GB"}


class Tongue:
    """One language. Its catalogue is read when it is made; everything else is looked up."""

    def __init__(self, language: str, catalogue: NullTranslations) -> None:
        self.language = language
        self.catalogue = catalogue

    def say(self, message: str, **values: object) -> str:
        """A message of the catalogue with its values; the English of the sources when it lacks it."""
        found = self.catalogue.gettext(message)
        return found % values if values else found

    def money(self, minor: int) -> str:
        """Euro cents as a price: `1 234,56 €` with spaces that do not break, or `€1,234.56`."""
        return _money(self.language, minor)

    def day(self, day: date) -> str:
        """A day with its weekday, which is what a shopper plans by: `mardi 24 novembre`."""
        return _day(self.language, day)

    def moment(self, at: datetime) -> str:
        """An instant as a Paris day and hour."""
        local = at.astimezone(PARIS)
        return self.say("%(day)s at %(hour)s", day=_day(self.language, local.date()), hour=_hour(self.language, local))

    def date(self, day: date) -> str:
        """A day with its year: `24 novembre 2026`."""
        return _date(self.language, day)

    def dated(self, at: datetime) -> str:
        """An instant as a Paris day with its year, and its hour: what is told long afterwards."""
        local = at.astimezone(PARIS)
        return self.say("%(day)s at %(hour)s", day=_date(self.language, local.date()), hour=_hour(self.language, local))

    def stamp(self, at: datetime) -> str:
        """An instant to the second as proof of it: the Paris date, hour and zone."""
        local = at.astimezone(PARIS)
        zone = local.strftime("%z")
        return self.say(
            "%(day)s at %(hour)s (Paris time, UTC%(zone)s)",
            day=_date(self.language, local.date()), hour=local.strftime("%H:%M:%S"), zone=f"{zone[:3]}:{zone[3:]}",
        )  # fmt: skip

    def country(self, code: str) -> str:
        """A country by its two letters."""
        return _country(self.language, code)


def load_tongues() -> Mapping[str, Tongue]:
    """All languages, from the catalogues beside this file; the compiled form is made here, once."""
    return {language: Tongue(language, _catalogue(language)) for language in LANGUAGES}


def _hour(language: str, local: datetime) -> str:
    return f"{local.hour}\u00a0h\u00a0{local.minute:02d}" if language == "fr" else f"{local.hour}:{local.minute:02d}"


def _catalogue(language: str) -> GNUTranslations:
    compiled = BytesIO()
    path = _CATALOGUES / language / "LC_MESSAGES" / "pages.po"
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)


@lru_cache(maxsize=8192)
def _money(language: str, minor: int) -> str:
    """Euro cents, written in a language."""
    sign, cents = ("\u2212" if minor < 0 else ""), abs(minor)
    if language == "fr":
        return f"{sign}{cents // 100:,}".replace(",", "\u202f") + f",{cents % 100:02d}\u00a0€"
    return f"{sign}€{cents // 100:,}.{cents % 100:02d}"


@lru_cache(maxsize=2048)
def _day(language: str, day: date) -> str:
    written = str(format_date(day, "EEEE d MMMM", locale=_BABEL[language]))
    return written.replace(" 1 ", " 1er ") if language == "fr" else written


@lru_cache(maxsize=2048)
def _date(language: str, day: date) -> str:
    written = str(format_date(day, "d MMMM y", locale=_BABEL[language]))
    return f"1er{written[1:]}" if language == "fr" and written.startswith("1 ") else written


@lru_cache(maxsize=1024)
def _country(language: str, code: str) -> str:
    return str(Locale.parse(_BABEL[language]).territories.get(code, code))
