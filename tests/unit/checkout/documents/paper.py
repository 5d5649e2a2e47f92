"""A PDF as its readers see it: its words, its catalogue, its structure."""

import io
import re
from collections.abc import Iterator
from typing import Any

import pypdf


def squeezed(text: str) -> str:
    """Letters and signs alone: lines break anywhere on paper."""
    return re.sub(r"[\s\u00a0\u202f]+", "", text)


def words_of(pdf: bytes) -> str:
    return squeezed("".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages))


def catalogue(pdf: bytes) -> Any:
    return pypdf.PdfReader(io.BytesIO(pdf)).trailer["/Root"]


def structure(pdf: bytes) -> list[Any]:
    """All elements of the structure tree, in reading order."""
    return list(_below(catalogue(pdf)["/StructTreeRoot"]))


def fonts(pdf: bytes) -> list[Any]:
    """The descriptors of all fonts of all pages."""
    pages: list[Any] = list(pypdf.PdfReader(io.BytesIO(pdf)).pages)
    found = [font for page in pages for font in page["/Resources"]["/Font"].values()]
    return [font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object() for font in found]


def _below(node: Any) -> Iterator[Any]:
    held = node.get_object()
    if not isinstance(held, pypdf.generic.DictionaryObject):
        return
    if "/S" in held:
        yield held
    children: Any = held.get("/K", [])
    for child in children if isinstance(children, list) else [children]:
        yield from _below(child)
