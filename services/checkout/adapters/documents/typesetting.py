"""Tagged PDF (PDF/UA-1) out of HTML, the same bytes for the same page: fonts and style sheet are prepared once."""

import atexit
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pydyf
from weasyprint import CSS, HTML
from weasyprint.document import Document
from weasyprint.formatting_structure import boxes
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import URLFetcher

__all__ = ["Press"]

HERE: Final = Path(__file__).parent
FACES: Final = (
    ("Inter", "inter-latin-400-normal", 400, "normal"),
    ("Inter", "inter-latin-600-normal", 600, "normal"),
    ("Inter", "inter-latin-400-italic", 400, "italic"),
    ("Inter Extended", "inter-latin-ext-400-normal", 400, "normal"),
    ("Inter Extended", "inter-latin-ext-600-normal", 600, "normal"),
    ("Inter Greek", "inter-greek-400-normal", 400, "normal"),
    ("Inter Greek", "inter-greek-600-normal", 600, "normal"),
    ("Inter Cyrillic", "inter-cyrillic-400-normal", 400, "normal"),
    ("Inter Cyrillic", "inter-cyrillic-600-normal", 600, "normal"),
    ("JetBrains Mono", "jetbrains-mono-latin-400-normal", 400, "normal"),
)  # fmt: skip
SPECIMEN: Final = (
    '<html lang="fr"><head><title>Spécimen</title></head><body><h1>Spécimen</h1><p>Texte, <strong>gras</strong>, '
    '<em>italique</em>, Łódź</p><table><tr><th scope="row">a</th><td class="code">0f</td></tr></table></body></html>'
)


class Press:
    """Turns HTML into PDF. Holds fonts and style sheet; not for use by two threads at once.

    No address is ever fetched: a page that refers to anything but the fonts here is rendered without it.
    """

    def __init__(self) -> None:
        self._fonts = FontConfiguration()
        files = URLFetcher(allowed_protocols=("file",))  # the fonts below, and nothing that a page could name
        self._sheet = CSS(string=_faces() + _text("print.css"), font_config=self._fonts, url_fetcher=files)
        self._nothing = URLFetcher(allowed_protocols=("data",))
        atexit.register(vars(self).clear)  # fonts that are let go while the interpreter ends complain on stderr

    def specimen(self) -> bytes:
        """A page with all that documents are made of: once it is printed, everything is loaded."""
        return self.pdf(SPECIMEN)

    def pdf(self, html: str) -> bytes:
        """The PDF of a whole page with a title and a language. Its identifier is the hash of the page."""
        page = HTML(string=html, url_fetcher=self._nothing)
        found: bytes = page.write_pdf(
            finisher=_name_tongues,
            stylesheets=[self._sheet],
            font_config=self._fonts,
            pdf_variant="pdf/ua-1",
            pdf_identifier=sha256(html.encode()).hexdigest()[:32].encode(),
        )
        return found


def _faces() -> str:
    return "".join(
        f'@font-face{{font-family:"{family}";src:url("{(HERE / "fonts" / file).with_suffix(".woff2").as_uri()}");'
        f"font-weight:{weight};font-style:{style}}}"
        for family, file, weight, style in FACES
    )


@cache
def _text(name: str) -> str:
    return (HERE / "templates" / name).read_text(encoding="utf-8")


def _name_tongues(document: Document, pdf: pydyf.PDF) -> None:
    """Give sections and paragraphs with a `lang` of their own that language in the structure of the PDF, where the
    library leaves it out: a screen reader must not read the law's French as English.

    Boxes and elements of structure come in the same order; if ever they do not, nothing is named wrongly.
    """
    found = [one for page in document.pages for one in _spoken(page._page_box)]  # noqa: SLF001 - pages show no boxes
    elements = [each for each in pdf.objects if isinstance(each, pydyf.Dictionary) and each.get("S") in {"/P", "/Sect"}]
    if [tag for tag, _ in found] != [each["S"] for each in elements]:
        return
    for (_, language), element in zip(found, elements, strict=True):
        if language:
            element["Lang"] = pydyf.String(language)


def _spoken(box: Any) -> Iterator[tuple[str, str]]:
    tag = {"p": "/P", "section": "/Sect"}.get(box.element_tag or "")
    if tag is not None:
        yield tag, box.element.get("lang") or ""
    for child in getattr(box, "children", ()):
        for one in child.children if isinstance(child, boxes.LineBox) else [child]:
            if not isinstance(one, boxes.TextBox):  # its words are of the box around it
                yield from _spoken(one)
