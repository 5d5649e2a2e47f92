"""A shopper's browser without JavaScript: it reads pages, fills in their forms and keeps their cookies."""

from html.parser import HTMLParser
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx
from typing_extensions import override

from relance.kernel.errors import NotNow

__all__ = ["Browser", "Form", "Page"]

_TIMEOUT_S: Final = 30.0
_WORDS_MAX: Final = 300


class Form(NamedTuple):
    """A form as the page gives it: where it goes, what is filled in, all names, and its buttons (name, value)."""

    method: str
    action: str
    filled: dict[str, str]
    names: frozenset[str]
    buttons: tuple[tuple[str, str], ...]


class Page(NamedTuple):
    """A page as it came."""

    url: str
    status: int
    html: str
    title: str
    forms: tuple[Form, ...]
    links: tuple[str, ...]

    def link(self, part: str) -> str:
        """The first link whose address holds `part`. Raises NotNow when there is none."""
        found = next((link for link in self.links if part in link), None)
        if found is None:
            raise NotNow(f"{self.url}: no link to {part} on the page {self.title!r}")
        return urljoin(self.url, found)


class Browser:
    """One browser with its cookies. `device` is what it says that it is."""

    def __init__(self, device: str) -> None:
        headers = {"user-agent": device, "accept": "text/html", "accept-language": "fr"}
        self._client = httpx.Client(headers=headers, follow_redirects=True, timeout=_TIMEOUT_S)
        self._client.event_hooks = {"response": [self._trust_the_loopback]}

    def _trust_the_loopback(self, _answer: httpx.Response) -> None:
        """Cookies for secure connections alone go to this machine, too, as in browsers."""
        for cookie in self._client.cookies.jar:
            cookie.secure = False

    def cookie(self, name: str) -> str:
        """A cookie's value, empty when there is none."""
        return next((cookie.value or "" for cookie in self._client.cookies.jar if cookie.name == name), "")

    def open(self, url: str) -> Page:
        """Go to an address."""
        return _page(self._client.get(url))

    def submit(self, page: Page, button: tuple[str, str] | None = None, /, **typed: str) -> Page:
        """Fill in the page's first form that has all these fields, and send it.

        Raises NotNow when the page has no such form.
        """
        for form in page.forms:
            if form.method == "post" and set(typed) <= form.names and (button is None or button in form.buttons):
                data = form.filled | typed | ({} if button is None else dict([button]))
                parts = urlsplit(page.url)
                origin = {"origin": f"{parts.scheme}://{parts.netloc}", "referer": page.url}
                return _page(self._client.post(urljoin(page.url, form.action), data=data, headers=origin))
        wanted = ", ".join(sorted(typed)) or "a button"
        raise NotNow(f"{page.url}: no form with {wanted} on the page {page.title!r} ({page.status})")

    def close(self) -> None:
        """Give its connections back."""
        self._client.close()


def _page(answer: httpx.Response) -> Page:
    html = answer.text
    reader = _Reader()
    reader.feed(html)
    if answer.status_code >= 500:
        raise NotNow(f"{answer.url} says {answer.status_code}: {' '.join(html.split())[:_WORDS_MAX]}")
    title = " ".join("".join(reader.title).split())
    return Page(str(answer.url), answer.status_code, html, title, tuple(reader.forms()), tuple(reader.links))


class _Reader(HTMLParser):
    """Finds forms and links. What belongs to a form elsewhere (`form="…"`) is not one of the form around it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.title: list[str] = []
        self._in_title = False
        self._found: list[tuple[dict[str, str], dict[str, str], set[str], list[tuple[str, str]]]] = []
        self._in_form = False
        self._select = ""
        self._area = ""

    def forms(self) -> list[Form]:
        """The forms of the page, in its order."""
        return [
            Form(at.get("method", "get").lower(), at.get("action", ""), filled, frozenset(names), tuple(buttons))
            for at, filled, names, buttons in self._found
        ]

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in at:
            self.links.append(at["href"])
        elif tag == "title":
            self._in_title = True
        elif tag == "form":
            self._found.append((at, {}, set(), []))
            self._in_form = True
        elif self._in_form and "form" not in at:
            self._control(tag, at)

    def _control(self, tag: str, at: dict[str, str]) -> None:
        _, filled, names, buttons = self._found[-1]
        name = at.get("name", "")
        if tag == "button" and at.get("type", "submit") == "submit":
            buttons.append((name, at.get("value", "")))
        elif tag == "input" and name:
            names.add(name)
            if at.get("type") not in {"checkbox", "radio"}:
                filled[name] = at.get("value", "")
            elif "checked" in at:
                filled[name] = at.get("value", "on")
        elif tag == "textarea" and name:
            names.add(name)
            filled[name] = ""
            self._area = name
        elif tag == "select" and name:
            names.add(name)
            self._select = name
        elif tag == "option" and self._select and ("selected" in at or self._select not in filled):
            filled[self._select] = at.get("value", "")

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in_form = False
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""
        elif tag == "title":
            self._in_title = False

    @override
    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif self._area:
            self._found[-1][1][self._area] += data
