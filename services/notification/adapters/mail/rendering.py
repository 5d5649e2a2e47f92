"""A request's own template, filled: subject, HTML and plain text. What others wrote is text, not markup."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import yaml
from babel.dates import format_date
from babel.numbers import format_currency
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from relance.events.messages import MessageRequest
from relance.kernel.errors import InputError
from services.notification.adapters.mail.build import COMPILED
from services.notification.adapters.mail.registry import LANGUAGES, load_kinds, words_of
from services.notification.domain.kinds import MessageKind
from services.notification.domain.linting import Finding, lint_structure, lint_wording
from services.notification.domain.senders import Sender

__all__ = ["LANGUAGES", "Rendered", "Templates"]

_TEXTS: Final = Path(__file__).with_name("texts.yaml")
_PARIS: Final = ZoneInfo("Europe/Paris")
_LOCALES: Final = {"fr": "fr_FR", "en": "en_GB"}
_SUM: Final = re.compile(r"([0-9]+),([0-9]{2}) EUR")  # as requests say a sum
_FILLED: Final = re.compile(r"(\{[{%].*?[%}]\})", re.DOTALL)
_HIGH: Final = re.compile(r" (?=[;?!])")
_WIDE: Final = re.compile(r"(?<=«) | (?=[:»%€])|(?<=n°) |(?<= [LRD]\.) ")
_OPTIONAL: Final = ("until", "minutes", "link")  # of several kinds


class Rendered(NamedTuple):
    """A body in both forms."""

    subject: str
    html: str
    text: str


class Templates:
    """All templates and texts, read and looked through once. Raises InputError when one would promote or track."""

    def __init__(self) -> None:
        self.kinds = load_kinds()
        self._common: dict[str, Any] = yaml.safe_load(_TEXTS.read_text(encoding="utf-8"))
        self._common["fr"] = _unbroken(self._common["fr"])
        self._words = {
            (kind, language): _unbroken(words) if language == "fr" else words
            for kind in self.kinds
            for language in LANGUAGES
            for words in (words_of(kind, language),)
        }
        # Texts become plain text first; HTML escapes them when they are put in.
        self._plain = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        self._markup = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=True)
        sources = {name: _compiled(name) for name in {kind.template for kind in self.kinds.values()}}
        self._layouts = {name: self._markup.from_string(html) for name, html in sources.items()}
        found = [*self.lint(), *(each for html in sources.values() for each in lint_structure(html, ()))]
        if found:
            raise InputError("templates: " + "; ".join(f"{each.rule}: {each.shown}" for each in found))

    def lint(self) -> list[Finding]:
        """What the texts hold that no message about an order may."""
        texts = [self._common, *self._words.values()]
        return [finding for node in texts for text in _strings(node) for finding in lint_wording(text)]

    def render(self, request: MessageRequest, sender: Sender) -> Rendered:
        """The body of a request. Raises InputError when a fact is missing, or a link leads elsewhere."""
        language = request.locale[:2] if request.locale[:2] in LANGUAGES else "fr"
        self.kinds.check(request)
        kind, common, words = self.kinds[request.kind], self._common[language], self._words[request.kind, language]
        try:
            parts = self._parts(kind, common, words, self._facts(request, sender, language))
            html = self._layouts[kind.template].render(**parts, language=language)
        except (TemplateError, KeyError, ValueError) as error:
            raise InputError(f"{request.kind}: the template cannot be filled: {error}") from None
        found = lint_structure(html, sender.link_hosts)
        if found:
            raise InputError("the message would hold " + "; ".join(f"{each.rule}: {each.shown}" for each in found))
        return Rendered(parts["subject"], html, self._plainly(parts, common))

    def _facts(self, request: MessageRequest, sender: Sender, language: str) -> dict[str, Any]:
        kind = self.kinds[request.kind]
        facts: dict[str, Any] = {**dict.fromkeys((*_OPTIONAL, *kind.optional), ""), **request.facts}
        facts.setdefault("shop_name", sender.name)
        facts["identity"] = sender.identity
        facts["help"] = " · ".join(
            str(each)
            for name in ("help_phone", "help_hours", "help_email")
            if (each := facts.get(name) or getattr(sender, name))
        )
        if found := _SUM.fullmatch(str(facts.get("amount", ""))):
            facts["amount"] = format_currency(Decimal(f"{found[1]}.{found[2]}"), "EUR", locale=_LOCALES[language])
        for name in kind.instants:
            if facts.get(name):
                facts[name] = _instant(datetime.fromisoformat(str(facts[name])).astimezone(_PARIS), language)
        for name in kind.dates:
            if facts.get(name):
                facts[name] = _day(date.fromisoformat(str(facts[name])), language)
        known = dict(facts)  # a choice of words may hold facts, but no other choice
        for name, choice in self._words[kind.name, language].get("choices", {}).items():
            words = choice["words"].get(str(facts[choice["of"]]), choice["words"]["other"])
            facts[name] = self._fill(words, known)
        return facts

    def _parts(
        self, kind: MessageKind, common: Mapping[str, Any], words: Mapping[str, Any], facts: dict[str, Any]
    ) -> dict[str, Any]:
        foot = [self._fill(common["foot"]["help"], facts)] if facts["help"] else []
        foot += [self._fill(common["foot"]["why"], facts), facts["identity"]]
        return {
            "subject": str(facts.get("subject") or self._fill(words["subject"], facts)),
            "shop_name": facts["shop_name"],
            "title": self._fill(words["title"], facts),
            "paragraphs": self._fill_all(words["paragraphs"], facts),
            "framed": self._fill_all(words.get("framed", ()), facts),
            "code": str(facts[kind.shows]) if kind.shows else "",
            "link": str(facts["link"]) if "button" in words else "",
            "button": words.get("button", ""),
            "link_words": common["link_words"],
            "after": self._fill_all(words.get("after", ()), facts),
            "foot": [line for line in foot if line],
        }

    def _fill(self, text: str, facts: Mapping[str, Any]) -> str:
        return self._plain.from_string(text).render(**facts)

    def _fill_all(self, texts: Any, facts: Mapping[str, Any]) -> list[str]:
        return [filled for text in texts if (filled := self._fill(text, facts).strip())]

    def _plainly(self, parts: Mapping[str, Any], common: Mapping[str, Any]) -> str:
        framed = ["\n".join(("*" * 40, line, "*" * 40)) for line in parts["framed"]]
        blocks = [parts["shop_name"], parts["title"], *parts["paragraphs"], *framed, parts["code"]]
        if parts["link"]:
            blocks.append(f"{self._fill(common['button_words'], parts)}\n{parts['link']}")
        blocks += [*parts["after"], "-- ", *parts["foot"]]
        return "\n\n".join(block for block in blocks if block) + "\n"


def _day(day: date, language: str) -> str:
    """``1er février 2027``, ``1 February 2027``."""
    said = str(format_date(day, "d MMMM y", locale=language))
    return re.sub(r"^1 ", "1er ", said) if language == "fr" else said


def _instant(at: datetime, language: str) -> str:
    """Date and time of a Paris instant; in the hour that an autumn night has twice, with what tells the two apart."""
    said = f"{_day(at.date(), language)} {'à' if language == 'fr' else 'at'} {at:%H:%M}"
    offset = at.utcoffset() or timedelta()
    if offset == at.replace(fold=1 - at.fold).utcoffset():
        return said
    return f"{said}, UTC+{offset // timedelta(hours=1)}"


def _compiled(name: str) -> str:
    try:
        return (COMPILED / f"{name}.html").read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"the template {name}: {error.strerror}") from None


def _unbroken(node: Any) -> Any:
    """Texts in French with the unbreakable spaces that its signs want; what is filled in stays as it is."""
    if isinstance(node, str):
        parts = _FILLED.split(node)
        return "".join(
            part if place % 2 else _WIDE.sub("\u00a0", _HIGH.sub("\u202f", part)) for place, part in enumerate(parts)
        )
    if isinstance(node, Mapping):
        return {key: _unbroken(value) for key, value in node.items()}
    return [_unbroken(each) for each in node] if isinstance(node, list) else node


def _strings(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    return [text for child in children for text in _strings(child)]
