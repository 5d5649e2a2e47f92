"""One meaning of an instant's text, whoever reads it: digits finer than milliseconds are cut off."""

import json

import pytest

from relance.cli.lines import LineReader
from relance.events.codec import decode
from relance.kernel.instants import parse_ms, to_ms
from services.tracking.domain import rows
from services.tracking.domain.columnar import Encoder
from services.tracking.domain.rows import to_batch
from services.tracking.domain.shops import ShopTable

FRACTIONS = (
    "9999994", "9999995", "9999999", "0009995", "0009999", "1239999", "12399995", "999999949", "999999950",
    "999999999", "000999999", "4999999999", "12399999999", "999999999999", "000999500000", "123456789012",
)  # fmt: skip
EXPECTED_MS = {fraction: int(fraction[:3]) for fraction in FRACTIONS}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(ShopTable(["demo"]))


def event(time: str, **attributes: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "specversion": "1.0",
        "id": time,
        "source": "/shops/demo",
        "type": "page.viewed",
        "time": time,
    }
    visitor: dict[str, object] = {"visitorid": "b0c3b0c3-0000-4000-8000-000000000001", "data": {"page": "/"}}
    return plain | visitor | attributes


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize(("second", "zone"), [("59", "Z"), ("00", "+01:30")])
def test_every_reader_cuts_off(encoder: Encoder, fraction: str, second: str, zone: str) -> None:
    whole_ms = parse_ms(f"2026-12-31T23:59:{second}{zone}")
    time = f"2026-12-31T23:59:{second}.{fraction}{zone}"
    raw = json.dumps(event(time)).encode()
    expected_ms = whole_ms + EXPECTED_MS[fraction]
    reader = LineReader("log")
    reader.add(raw)
    batch, append_ms = reader.take()
    encoded = encoder.encode([raw], shop="demo")
    assert not encoded.refusals
    assert {
        "parse_ms": parse_ms(time),
        "decode": to_ms(decode(raw).time),
        "simulate": batch.column("time")[0].as_py(),
        "simulate, appended": int(append_ms[0]),
        "tracking": to_batch(encoded.rows, encoded.strings, encoded.shops).column("time")[0].as_py(),
    } == dict.fromkeys(("parse_ms", "decode", "simulate", "simulate, appended", "tracking"), expected_ms)


def test_escapes_hide_no_digit() -> None:
    plain = json.dumps(event("2026-12-31T23:59:59.9999999Z")).encode()
    for escaped in (rb".999999\u0039Z", rb"\u002e9999999Z", rb"\u002E\u0039999999Z"):
        assert to_ms(decode(plain.replace(b".9999999Z", escaped)).time) == parse_ms("2026-12-31T23:59:59.999Z")


def test_the_time_of_sending_is_cut_off_too(encoder: Encoder) -> None:
    received_ms = parse_ms("2026-12-31T23:59:59.999Z")
    sent = event("2026-12-31T23:59:00Z", senttime="2026-12-31T23:59:59.999999999999Z")
    encoded = encoder.encode([json.dumps(sent).encode()], shop="demo", received_ms=received_ms)
    assert encoded.rows[0, rows.TIME] == parse_ms("2026-12-31T23:59:00Z")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.9999999-14:00"])
def test_what_has_no_text_in_utc_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        parse_ms(text)
