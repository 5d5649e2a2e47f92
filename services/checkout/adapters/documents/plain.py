"""The words of a page as plain text, for the second part of a mail and for whoever checks what a page says."""

from html.parser import HTMLParser
from typing import Final

from typing_extensions import override

__all__ = ["plain_text"]

BREAKS: Final = frozenset({"p", "div", "section", "header", "footer", "nav", "main", "table", "ul", "ol", "dl"})
SILENT: Final = frozenset({"head", "style", "script", "caption"})
HEADINGS: Final = {"h1": "=", "h2": "=", "h3": "-"}


def plain_text(html: str) -> str:
    """Paragraphs apart, headings underlined, the cells of a row on one line."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line = ""
        self._silent = 0
        self._cells = 0
        self._link = ""

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a line, a cell, or what is not read."""
        if tag in SILENT:
            self._silent += 1
        elif tag in BREAKS or tag in HEADINGS:
            self._end(blank=True)
        elif tag == "tr":
            self._end()
            self._cells = 0
        elif tag in {"td", "th"}:
            self._line = self._line.rstrip() + (" | " if self._cells else "")
            self._cells += 1
        elif tag == "li":
            self._end()
            self._line = "- "
        elif tag == "br":
            self._line = self._line.rstrip() + (", " if self._cells else "\n")
        elif tag == "a":
            self._link = dict(attrs).get("href") or ""

    @override
    def handle_endtag(self, tag: str) -> None:
        """Close it."""
        if tag in SILENT:
            self._silent -= 1
        elif tag in HEADINGS:
            heading = self._line.strip()
            self._end()
            self._lines.append(HEADINGS[tag] * min(len(heading), 78))
            self._end(blank=True)
        elif tag == "table":
            self._cells = 0
            self._end(blank=True)
        elif tag in BREAKS:
            self._end(blank=True)
        elif tag in {"tr", "li"}:
            self._end()
        elif tag == "a":
            if self._link.startswith(("https://", "http://")) and self._link not in self._line:
                self._line = f"{self._line.rstrip()} ({self._link})"
            self._link = ""

    @override
    def handle_data(self, data: str) -> None:
        """Words; white space is one space, the unbreakable kinds stay."""
        if self._silent:
            return
        words = " ".join(part for part in data.replace("\n", " ").split(" ") if part)
        if not words:
            self._line += " " if self._line and not self._line.endswith((" ", "\n")) and data else ""
            return
        lead = " " if data[0] in " \n" and self._line and not self._line.endswith((" ", "\n")) else ""
        self._line += lead + words + (" " if data[-1] in " \n" else "")

    def text(self) -> str:
        """All lines that were read."""
        self._end()
        return "\n".join(self._lines).strip() + "\n"

    def _end(self, *, blank: bool = False) -> None:
        line = self._line.strip()
        if line and line != "-":
            self._lines.append(line)
        self._line = ""
        if blank and self._lines and self._lines[-1]:
            self._lines.append("")
