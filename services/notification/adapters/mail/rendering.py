"""A request's own template, filled: subject, HTML and plain text. What others wrote is text, not markup."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import yaml
from babel.dates import format_datetime
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from relance.events.messages import MessageRequest
from relance.kernel.errors import InputError
from services.notification.adapters.mail.build import COMPILED
from services.notification.domain.linting import Finding, lint_structure, lint_wording
from services.notification.domain.senders import Sender

__all__ = ["LANGUAGES", "Rendered", "Templates"]

LANGUAGES: Final = ("fr", "en")
_TEXTS: Final = Path(__file__).with_name("texts.yaml")
_PARIS: Final = ZoneInfo("Europe/Paris")
_OPTIONAL: Final = ("until", "minutes", "code", "link", "amount", "reason")


class Rendered(NamedTuple):
    """A body in both forms."""

    subject: str
    html: str
    text: str


class Templates:
    """All templates and texts, read and looked through once. Raises InputError when one would promote or track."""

    def __init__(self) -> None:
        self._texts: dict[str, Any] = yaml.safe_load(_TEXTS.read_text(encoding="utf-8"))
        # Texts become plain text first; HTML escapes them when they are put in.
        self._plain = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        self._markup = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=True)
        html = (COMPILED / "notice.html").read_text(encoding="utf-8")
        self._notice = self._markup.from_string(html)
        found = [*self.lint(), *lint_structure(html, ())]
        if found:
            raise InputError("templates: " + "; ".join(f"{each.rule}: {each.shown}" for each in found))

    def lint(self) -> list[Finding]:
        """What the texts hold that no message about an order may."""
        return [finding for text in _strings(self._texts) for finding in lint_wording(text)]

    def render(self, request: MessageRequest, sender: Sender) -> Rendered:
        """The body of a request. Raises InputError when a fact is missing, or a link leads elsewhere."""
        language = request.locale[:2] if request.locale[:2] in LANGUAGES else "fr"
        texts = self._texts[language]
        try:
            parts = self._parts(texts, self._facts(request, sender, texts, language), request, sender)
            html = self._notice.render(**parts, language=language)
        except (TemplateError, KeyError, ValueError) as error:
            raise InputError(f"{request.kind}: the template cannot be filled: {error}") from None
        found = lint_structure(html, sender.link_hosts)
        if found:
            raise InputError("the message would hold " + "; ".join(f"{each.rule}: {each.shown}" for each in found))
        return Rendered(parts["subject"], html, _plainly(parts))

    def _facts(
        self, request: MessageRequest, sender: Sender, texts: Mapping[str, Any], language: str
    ) -> dict[str, Any]:
        facts: dict[str, Any] = {**dict.fromkeys(_OPTIONAL, ""), **request.facts}
        facts.setdefault("shop_name", sender.name)
        if facts["until"]:
            instant = datetime.fromisoformat(str(facts["until"])).astimezone(_PARIS)
            facts["until"] = format_datetime(instant, "d MMMM y HH:mm", locale=language)
        if request.kind == "payment.failed":
            facts["reason"] = texts["reasons"].get(str(facts["category"]), texts["reasons"]["other"])
        return facts

    def _parts(
        self, texts: Mapping[str, Any], facts: dict[str, Any], request: MessageRequest, sender: Sender
    ) -> dict[str, Any]:
        kind = texts["kinds"][request.kind]
        facts["help"] = " · ".join(
            str(each)
            for name in ("help_phone", "help_hours", "help_email")
            if (each := facts.get(name) or getattr(sender, name))
        )
        foot = [self._fill(texts["foot"]["help"], facts)] if facts["help"] else []
        foot += [self._fill(texts["foot"]["why"], facts), sender.identity]
        return {
            "subject": str(facts.get("subject") or self._fill(kind["subject"], facts)),
            "shop_name": facts["shop_name"],
            "title": self._fill(kind["title"], facts),
            "paragraphs": self._fill_all(kind["paragraphs"], facts),
            "code": str(facts["code"]) if request.kind == "code" else "",
            "link": str(facts["link"]) if "button" in kind else "",
            "button": kind.get("button", ""),
            "link_words": texts["link_words"],
            "after": self._fill_all(kind.get("after", ()), facts),
            "foot": [line for line in foot if line],
        }

    def _fill(self, text: str, facts: Mapping[str, Any]) -> str:
        return self._plain.from_string(text).render(**facts)

    def _fill_all(self, texts: Any, facts: Mapping[str, Any]) -> list[str]:
        return [filled for text in texts if (filled := self._fill(text, facts).strip())]


def _plainly(parts: Mapping[str, Any]) -> str:
    blocks = [parts["shop_name"], parts["title"], *parts["paragraphs"], parts["code"]]
    if parts["link"]:
        blocks.append(f"{parts['button']} :\n{parts['link']}")
    blocks += [*parts["after"], "-- ", *parts["foot"]]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _strings(node: Any) -> list[str]:
    if isinstance(node, str):
        return [node]
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    return [text for child in children for text in _strings(child)]
