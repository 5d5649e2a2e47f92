"""A shop's look: its own colours and letters, never its own style sheets, and contrast whatever it chose.

A theme is a handful of CSS custom properties. A colour that could not be read on white is darkened until it can be, and
the words on it are black or white, whichever stands out: no theme makes the pages harder to use.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final

__all__ = ["contrast", "inline_hash", "style_of"]

_COLOUR: Final = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_SIZE: Final = re.compile(r"(?:\d{1,2}(?:\.\d{1,2})?)(?:px|rem)")
_FONT: Final = re.compile(r"[A-Za-z0-9 ,'\"-]{1,200}")
_READABLE: Final = 4.6  # WCAG 1.4.3 asks for 4.5; of black and white, one always has 4.58 or more
_WHITE: Final = (255, 255, 255)
_BLACK: Final = (0, 0, 0)


def style_of(theme: Mapping[str, str]) -> str:
    """The inline style of a theme: `accent` and `page` (colours), `radius` (a size), `font` (names). What is no such
    value is left out.
    """
    return _style(tuple(sorted((name.removeprefix("--"), value.strip()) for name, value in theme.items())))


@lru_cache(maxsize=512)
def _style(theme: tuple[tuple[str, str], ...]) -> str:
    given = dict(theme)
    found: dict[str, str] = {}
    if _COLOUR.fullmatch(given.get("accent", "")):
        accent = _channels(given["accent"])
        found["accent"] = _hex(accent)
        found["on-accent"] = "#fff" if contrast(accent, _WHITE) >= contrast(accent, _BLACK) else "#000"
        found["link"] = _hex(_darkened(accent))
        found["link-dark"] = _hex(_lightened(accent))
    if _COLOUR.fullmatch(given.get("page", "")) and contrast(_channels(given["page"]), (0x56, 0x5C, 0x68)) >= _READABLE:
        found["page"] = given["page"]
    if _SIZE.fullmatch(given.get("radius", "")):
        found["radius"] = given["radius"]
    if _FONT.fullmatch(given.get("font", "")):
        found["font"] = f"{given['font']}, system-ui, sans-serif"
    if not found:
        return ""
    return ":root{" + ";".join(f"--{name}:{value}" for name, value in found.items()) + "}"


@lru_cache(maxsize=512)
def inline_hash(text: str) -> str:
    """How a policy names an inline style: `'sha256-…'`."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """The contrast of two colours, 1 to 21, as WCAG counts it."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: tuple[int, int, int]) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _darkened(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """The same hue, dark enough for text on white and on the lightest tint of the pages."""
    found = colour
    while contrast(found, (243, 246, 244)) < _READABLE:
        found = (int(found[0] * 0.94), int(found[1] * 0.94), int(found[2] * 0.94))
    return found


def _lightened(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """The same hue, bright enough for text on the dark cards of who prefers these, and on their tints."""
    red, green, blue = colour
    while contrast((red, green, blue), (45, 40, 38)) < _READABLE:
        red, green, blue = (min(255, channel + max(1, (255 - channel) * 6 // 100)) for channel in (red, green, blue))
    return red, green, blue


def _channels(text: str) -> tuple[int, int, int]:
    digits = text[1:] if len(text) == 7 else "".join(digit * 2 for digit in text[1:])
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
