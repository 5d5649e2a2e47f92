"""What the pages take at most: the size of a form, and how often somebody may guess."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

__all__ = ["FORM_BYTES_MAX", "NAME_MAX", "SAID_MAX", "Form", "Guesses", "Pace", "TooMuch", "network_of", "read_form"]

FORM_BYTES_MAX: Final = 262_144
SAID_MAX: Final = 10_000
"""Letters of what a consumer states in words of his own: none of them is cut off unsaid."""
NAME_MAX: Final = 1_000
"""Letters of his name."""
_BODY_S: Final = 10.0
_FIELDS_MAX: Final = 1_200
_TEXT_MAX: Final = 1_000
_LONG: Final = {"assertion": 8_192} | dict.fromkeys(("reference", "articles", "reason", "fault"), SAID_MAX)
_KEPT_S: Final = 600.0  # that a place is kept after its time has come: he reads, types, and clicks again
_BREAKS: Final = re.compile(r"[\t\r\n\u2028\u2029]+")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class TooMuch(Exception):  # noqa: N818 - what the body is
    """A body that no form of these pages makes."""


class Form:
    """The fields of a form. A text is one line: its breaks are blanks, and control letters, and those that turn the
    direction, are taken out.
    """

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields: dict[str, str] = {}
        for name, value in fields:
            plain = _CONTROLS.sub("", _BREAKS.sub(" ", value)).strip()
            self._fields.setdefault(name, plain[: _LONG.get(name, _TEXT_MAX)])

    def text(self, name: str) -> str:
        """The first value of a field; empty when it is not there."""
        return self._fields.get(name, "")

    def __contains__(self, name: object) -> bool:
        """Whether a field was there at all."""
        return name in self._fields

    def ticked(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self._fields.get(name))

    def under(self, prefix: str) -> dict[str, str]:
        """The fields whose names begin so, without that."""
        return {name[len(prefix) :]: value for name, value in self._fields.items() if name.startswith(prefix)}


async def read_form(request: Request) -> Form:
    """The form of a request. Raises TooMuch for another kind of body, one that is too large or too slow, or too many
    fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise TooMuch
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > FORM_BYTES_MAX:
                    raise TooMuch
    except TimeoutError:
        raise TooMuch from None
    try:
        fields = parse_qsl(
            body.decode(errors="replace"), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="replace"
        )
    except ValueError:
        raise TooMuch from None
    return Form(fields)


def network_of(address: str) -> str:
    """By whom tries are counted: an address of IPv4; of IPv6 its /64, for who has one has all of them."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:64]
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or ip_network((int(found), 64), strict=False))


class Guesses:
    """Wrong tokens and codes by whom they come from: so many in a window, then none is looked at until it has passed.

    Right ones are not counted, so that many shoppers behind one address are no burden to each other. `what`: the same
    thing again counts once, and need not wait: fifty clicks on one button are one.
    """

    def __init__(self, most: int, window_s: float, clock: Callable[[], float], keys_max: int = 20_000) -> None:
        self._most, self._window_s, self._clock, self._keys_max = most, window_s, clock, keys_max
        self._wrong: OrderedDict[str, tuple[float, tuple[bytes, ...]]] = OrderedDict()

    def wait_s(self, key: str, what: str = "") -> int:
        """How long this one has to wait; 0 when it may guess."""
        since, counted = self._wrong.get(key, (0.0, ()))
        left = since + self._window_s - self._clock()
        return int(left) + 1 if len(counted) >= self._most and left > 0 and not _again(counted, what) else 0

    def wrong(self, key: str, what: str = "") -> None:
        """One more that was wrong."""
        now = self._clock()
        since, counted = self._wrong.pop(key, (now, ()))
        if now >= since + self._window_s:
            since, counted = now, ()
        full = len(counted) >= self._most or _again(counted, what)
        self._wrong[key] = (since, counted if full else (*counted, _short(what)))
        while len(self._wrong) > self._keys_max:
            self._wrong.popitem(last=False)


class Pace:
    """How often statements come from one network: `burst` at once within a window, then one every `each_s` seconds.

    A statement of the law is slowed down and never shut out: the one that had to wait has its place in the line of its
    network, by `what` it says, and is let in once that has come, whoever else came meanwhile, from there or from
    elsewhere. A line is as long as `most_s`, and a place is kept for `_KEPT_S`; who finds it full comes again.
    """

    def __init__(
        self, burst: int, window_s: float, clock: Callable[[], float], *, most_s: int = 300, lines_max: int = 5_000
    ) -> None:
        self._first = Guesses(burst, window_s, clock)
        self._each_s = min(most_s, 20)
        self._clock, self._most_s, self._lines_max = clock, most_s, lines_max
        self._lines: OrderedDict[str, dict[bytes, float]] = OrderedDict()

    def wait_s(self, key: str, what: str) -> int:
        """0: it may be stated now; else so many seconds until this one may, or until it may ask for a place."""
        if not self._first.wait_s(key, what):
            self._first.wrong(key, what)
            return 0
        now, mine = self._clock(), _short(what)
        line = {one: opens for one, opens in self._lines.get(key, {}).items() if opens > now - _KEPT_S}
        if mine not in line:
            opens = max(now, *line.values()) + self._each_s if line else now + self._each_s
            if opens > now + self._most_s or not self._has_room(key, now):
                return self._most_s
            line[mine] = opens
            self._lines[key] = line
            self._lines.move_to_end(key)
        return max(0, ceil(line[mine] - now))

    def _has_room(self, key: str, now: float) -> bool:
        """Whether a network may have a line: nobody who still waits loses his place for it."""
        while len(self._lines) >= self._lines_max and key not in self._lines:
            oldest = next(iter(self._lines))
            if max(self._lines[oldest].values()) > now - _KEPT_S:
                return False
            del self._lines[oldest]
        return True


def _again(counted: tuple[bytes, ...], what: str) -> bool:
    return bool(what) and _short(what) in counted


def _short(what: str) -> bytes:
    return sha256(what.encode()).digest()[:8] if what else b""
