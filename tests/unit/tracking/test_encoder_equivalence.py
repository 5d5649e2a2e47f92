"""The compiled reader and the strict decoder say the same of every event, however it is spelled or broken.

The reader may leave an event to the strict decoder; what it takes itself must be the decoder's row, fact and all.
"""

import json
import random
import types
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

import msgspec
import numpy as np
import pytest

from relance.events.catalog import CHANNELS, EVENT_TYPES
from relance.events.codec import STRUCTS
from relance.events.envelope import Item
from services.tracking.domain import kernel
from services.tracking.domain.columnar import Encoded, Encoder
from services.tracking.domain.rows import to_batch
from services.tracking.domain.shops import ShopTable

pytestmark = pytest.mark.timeout(300)  # the first run compiles

TEXTS = [
    "x",
    "Lampe",
    "é",
    "Straße 5",
    "日本",
    'a"b\\c/d',
    "😀",
    "tab\there",
    "",
    " ",
    "a" * 300,
    "granted",
    "\x7f",
    "0" * 257,
]
URLS = [
    "https://shop.example/p/1?utm_campaign=nov&x=1",
    "https://shop.example",
    "https://shop.example?utm_campaign=a%20b+c",
    "/c/lamps?x=?utm_campaign=no&utm_campaign=&utm_campaign=yes#utm_campaign=hash",
    "//shop.example/é/x#f?utm_campaign=1",
    "relative/a//b",
    "?utm_campaign=only",
    "#",
    "",
    "https:////x",
    "https://a/b?utm_campaign=" + "z" * 150,
    "/" + "p" * 250,
    "/" + "é" * 250,
    "https://a?x&utm_campaign=1&y",
    "https://a/?&utm_campaign=é",
    "http://h/a/b://c?utm_campaign",
]
INSTANTS = [
    "2026-11-22T10:00:00.000Z",
    "2026-11-22T10:00:00Z",
    "2026-11-22T10:00:00.1Z",
    "2026-11-22T11:00:00.123456+01:00",
    "2026-11-22T10:00:00.1239999Z",
    "2026-11-22T10:00:00.9999999Z",
    "2026-11-22T10:00:59.999999500Z",
    "2026-11-22T10:00:00.00099999999+01:00",
    "2026-11-22t10:00:00z",
    "2026-02-29T10:00:00Z",
    "2024-02-29T23:59:59.999Z",
    "2026-11-22T24:00:00Z",
    "2026-11-22T10:00:60Z",
    "2026-11-22T10:00:00",
    "2026-11-22 10:00:00Z",
    "1969-12-31T23:59:59.999Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-11-22T10:00:00.Z",
    "2026-13-01T00:00:00Z",
    "2026-11-22T10:00:00-23:59",
    "2026-11-22T10:00:00+24:00",
    "2026-11-22T10:00:00.123+0100",
    "2026-11-31T10:00:00Z",
]
VISITORS = [
    "b0c3d1a2-5e4f-4a6b-8c7d-9e0f1a2b3c4d",
    "B0C3D1A2-5E4F-4A6B-8C7D-9E0F1A2B3C4D",
    "GA1.2.345",
    "b0c3d1a25e4f4a6b8c7d9e0f1a2b3c4d",
    "g0c3d1a2-5e4f-4a6b-8c7d-9e0f1a2b3c4d",
    "é" * 18,
    "a/b",
    "b0c3d1a2+5e4f-4a6b-8c7d-9e0f1a2b3c4d",
    "x" * 257,
    "",
    "----b0c3d1a25e4f4a6b8c7d9e0f1a2b3c4d",
    "B0C3d1a2-5e4f-4a6b-8c7d-9e0f1a2b3c4d",
]
SOURCES = [
    "/shops/demo",
    "/shops/demo/web",
    "/shops/other",
    "/shops/un.known-1",
    "/shops/",
    "/shop/demo",
    "/shops/demo/é",
    "/shops/demo/a b",
    "/shops/-demo",
    "/shops/" + "d" * 65,
    "shops/demo",
    "/shops/demo/",
    "/shops/demo\n",
]
WRONG: list[Any] = [
    None,
    True,
    0,
    -1,
    1.0,
    1.5,
    10**13,
    10**19,
    10**400,
    1e300,
    "",
    "word",
    [],
    {},
    [[]],
    {"a": {"b": [1, {}]}},
]


class Maker:
    """Random events, most of them right."""

    def __init__(self, seed: int, faults: float) -> None:
        self.random = random.Random(seed)
        self.faults = faults

    def event(self) -> dict[str, Any]:
        name = self.random.choice(EVENT_TYPES).name
        fields = {field.name: field for field in msgspec.structs.fields(STRUCTS[name])}
        event: dict[str, Any] = {"specversion": "1.0", "type": name}
        for field in fields.values():
            if field.required or self.random.random() < 0.4:
                event[field.name] = self.value(field.name, field.type)
        event["id"] = f"e-{self.random.random()}"
        event["source"] = self.random.choice(SOURCES) if self.random.random() < self.faults else "/shops/demo"
        event["time"] = self.random.choice(INSTANTS[: 4 if self.random.random() > self.faults else None])
        if self.random.random() < 0.9:
            event["visitorid"] = self.random.choice(VISITORS[: 3 if self.random.random() > self.faults else None])
        self.spoil(event)
        keys = list(event)
        if self.random.random() < 0.3:
            self.random.shuffle(keys)
        return {key: event[key] for key in keys}

    def spoil(self, event: dict[str, Any]) -> None:
        if self.random.random() < 0.3:
            event["unknown"] = self.random.choice([*WRONG, *TEXTS])
        if self.random.random() >= self.faults:
            return
        target: Any = event
        if isinstance(event.get("data"), dict) and self.random.random() < 0.7:
            target = event["data"]
            if target.get("items") and self.random.random() < 0.5:
                target = target["items"][0]
        key = self.random.choice(list(target) or ["x"])
        if self.random.random() < 0.3:
            target.pop(key, None)
        else:
            target[key] = self.random.choice(WRONG)

    def value(self, name: str, kind: Any) -> Any:
        if name == "url":
            return self.random.choice(URLS)
        metas: list[msgspec.Meta] = []
        while get_origin(kind) in (Union, types.UnionType) or hasattr(kind, "__metadata__"):
            if hasattr(kind, "__metadata__"):
                metas += kind.__metadata__
                kind = kind.__origin__
            else:
                kind = get_args(kind)[0]
        if get_origin(kind) is tuple:
            return [self.object(Item) for _ in range(self.random.choice([0, 1, 1, 2, 5]))]
        if get_origin(kind) is dict:
            channels = self.random.sample([*CHANNELS, "unknown"], 3)
            return {
                channel: self.random.choice([True, False, "granted", "denied", None, 1, "é"]) for channel in channels
            }
        if get_origin(kind) is Literal:
            return self.random.choice(get_args(kind))
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.object(kind)
        return self.plain(name, kind, metas)

    def plain(self, name: str, kind: Any, metas: list[msgspec.Meta]) -> Any:
        if kind is bool:
            return self.random.random() < 0.5
        if kind is int:
            return self.random.choice(
                [1, 2, 3, 999, 10_000, *([0, 10**12, 10_001, -5] if self.random.random() < self.faults else [])]
            )
        if kind is str and name == "currency":
            return self.random.choice(
                ["EUR", "USD", *(["eur", "E1R", "EURO", "ÉUR"] if self.random.random() < self.faults else [])]
            )
        if kind is str:
            least = max([meta.min_length or 0 for meta in metas], default=0)
            longest = 10_000 if self.random.random() < self.faults else 250
            return self.random.choice([text for text in TEXTS if least <= len(text) <= longest])
        return self.random.choice(INSTANTS[:5])

    def odd(self, choices: list[Any]) -> list[Any]:
        return choices if self.random.random() < self.faults else []

    def object(self, kind: type[msgspec.Struct]) -> dict[str, Any]:
        return {
            field.name: self.value(field.name, field.type)
            for field in msgspec.structs.fields(kind)
            if field.required or self.random.random() < 0.4
        }

    def text(self) -> bytes:
        event = self.event()
        style = self.random.random()
        raw = json.dumps(event, ensure_ascii=style < 0.5, separators=(",", ":") if style < 0.7 else (", ", " : "))
        if self.random.random() < 0.1:
            raw = raw.replace("/", "\\/")  # as PHP writes it
        if self.random.random() < 0.1:
            raw = f" \n{raw}\t"
        return self.broken(raw.encode("utf-8", "surrogatepass"))

    def broken(self, raw: bytes) -> bytes:
        if self.random.random() >= self.faults / 2:
            return raw
        at = self.random.randrange(len(raw))
        piece = self.random.choice([b'"', b"\\", b"{", b"}", b",", b"\0", b"\n", b"\\u0000"])
        return self.random.choice(
            [
                raw[:at],
                raw[:at] + bytes([self.random.randrange(256)]) + raw[at + 1 :],
                raw[:at] + piece + raw[at:],
                raw + self.random.choice([b"{}", b",", b"\0", b"}", raw]),
                raw.replace(b"{", b'{"id":"twice",', 1),
                raw[: at // 2] + raw[at:],
            ]
        )


def _told(encoded: Encoded) -> dict[str, Any]:
    rows = to_batch(encoded.rows, encoded.strings, encoded.shops).to_pylist() if len(encoded.rows) else []
    return {
        "rows": dict(zip(encoded.index, rows, strict=True)),
        "facts": sorted(
            (key, json.dumps(json.loads(value), sort_keys=True))
            for key, value in zip(encoded.fact_keys, encoded.fact_values, strict=True)
        ),
        "refusals": {refusal.index: refusal.problems for refusal in encoded.refusals},
    }


def _encoder() -> Encoder:
    return Encoder(ShopTable(["other", "demo"]))


def _strictly(values: list[bytes], monkeypatch: pytest.MonkeyPatch, **how: Any) -> Encoded:
    """Every event decided by the strict decoder."""
    encoder = _encoder()
    with monkeypatch.context() as patch:
        patch.setattr(kernel, "encode_events", lambda *_: 0)
        encoded = encoder.encode(values, **how)
    assert encoder.slow >= len(values)
    return encoded


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("faults", [0.0, 0.15])
def test_compiled_reader_and_strict_decoder_agree(seed: int, faults: float, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Maker(seed, faults)
    values = [maker.text() for _ in range(1500)]
    times = np.array([1_795_341_600_000 + place for place in range(len(values))], np.int64)
    encoder = _encoder()
    before = encoder.slow
    encoded = encoder.encode(values, received_ms=times, arrival_ms=times)
    strict = _strictly(values, monkeypatch, received_ms=times, arrival_ms=times)
    assert _told(encoded) == _told(strict)
    share = (encoder.slow - before - len(encoded.refusals)) / len(values)
    assert share < 0.3, f"{share:.0%} of the good events were too hard for the compiled reader"
    assert len(encoded.refusals) > 50 * bool(faults)


@pytest.mark.parametrize("shop", ["demo", "other", "stranger"])
def test_events_of_other_shops_are_refused_by_both(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Maker(99, 0.3)
    values = [maker.text() for _ in range(300)]
    assert _told(_encoder().encode(values, shop=shop)) == _told(_strictly(values, monkeypatch, shop=shop))


@pytest.mark.parametrize("seed", range(3))
def test_one_by_one_is_as_all_together(seed: int) -> None:
    maker = Maker(seed + 1000, 0.4)
    values = [maker.text() for _ in range(400)]
    together = _told(_encoder().encode(values))
    encoder = _encoder()
    for place, value in enumerate(values):
        alone = _told(encoder.encode([value]))
        assert alone["refusals"].get(0) == together["refusals"].get(place)
        assert alone["rows"].get(0) == together["rows"].get(place)


def test_a_message_never_swallows_its_neighbour() -> None:
    maker, encoder = Maker(5, 0.0), _encoder()
    good = (value for value in iter(maker.text, b"") if not encoder.encode([value]).refusals)
    bad = [
        b'{"specversion":"1.0","id":"', b'"}', b'{"a":[', b"]}", b'{"a":[1', b",1", b"{", b"}", b'{"a":"\x01"}',
        b'{"a":1}{"a":2}', b"", b'"', b"\\", b'{"a":"\\', b'{"a":"\\u00', b"\xff", b'{"a":"\xe2\x82', b"\0", b"[", b"-",
        b"1" * 100, b"\n", b"  ", b"null",
    ]  # fmt: skip
    values: list[bytes] = []
    for piece in bad:
        values += [next(good), piece]
    values.append(next(good))
    encoded = _encoder().encode(values)
    assert [refusal.index for refusal in encoded.refusals] == list(range(1, len(values), 2))
    assert encoded.accepted == len(values) // 2 + 1


def test_every_event_is_a_row_a_fact_or_a_refusal() -> None:
    maker = Maker(7, 0.5)
    values = [maker.text() for _ in range(1000)]
    encoded = _encoder().encode(values)
    ids = {json.loads(value)["id"] for value in encoded.fact_values}
    refused = {refusal.index for refusal in encoded.refusals}
    for place, value in enumerate(values):
        if place not in refused and place not in encoded.index:
            assert json.loads(value)["id"] in ids


def test_facts_stand_under_the_visitors_uuid() -> None:
    maker = Maker(11, 0.0)
    encoded = _encoder().encode([maker.text() for _ in range(500)])
    for key, value in zip(encoded.fact_keys, encoded.fact_values, strict=True):
        visitor = json.loads(value).get("visitorid")
        if visitor is not None:
            assert key.decode() == visitor == str(UUID(visitor))
