"""A log at another time: gaps, windows and every time that an event holds."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.cli.retiming import Retiming, Rewriting, scaled
from relance.events.schemas import event_schemas
from relance.kernel.errors import InputError
from relance.kernel.instants import parse_ms
from relance.rules.windows import Definitions, Window

START_MS = parse_ms("2026-01-01T00:00:00Z")
FIRST_MS = parse_ms("2019-10-01T00:00:00Z")


def event(**attributes: Any) -> dict[str, Any]:
    return {"id": "1", "source": "/shops/old", "type": "page.viewed", "time": "2019-10-01T01:00:00Z"} | attributes


def rewriting(speed: float = 1.0) -> Rewriting:
    return Rewriting("new", Retiming(FIRST_MS, START_MS, speed))


@given(times=st.lists(st.integers(0, 10**12)), speed=st.floats(0.01, 10**6))
def test_the_order_of_times_stays(times: list[int], speed: float) -> None:
    retiming = Retiming(0, START_MS, speed)
    moved = [retiming.at(time) for time in sorted(times)]
    assert moved == sorted(moved)
    assert retiming.at(0) == START_MS


def test_gaps_are_divided() -> None:
    time_ms, moved = rewriting(3_600)(event())
    assert time_ms == START_MS + 1_000
    assert moved["time"] == "2026-01-01T00:00:01.000Z"


def test_times_of_the_first_arrival_are_dropped_and_those_in_data_move() -> None:
    arrival = dict.fromkeys(("senttime", "receivedtime", "arrivedtime"), "2019-10-01T01:00:00Z")
    _, moved = rewriting(2)(event(**arrival, data={"expires_at": "2019-10-01T02:00:00Z", "attempt_id": "a"}))
    assert not arrival.keys() & moved.keys()
    assert moved["data"] == {"expires_at": "2026-01-01T01:00:00.000Z", "attempt_id": "a"}


def test_every_time_that_the_contract_knows_in_data_moves() -> None:
    text = {name: json.dumps(schema) for name, schema in event_schemas().items()}
    assert any("date-time" in schema for schema in text.values())
    for name, schema in event_schemas().items():
        for place, found in _properties(schema):
            if found.get("format") == "date-time" and place not in {"time", "senttime"}:
                _, moved = rewriting()(event(type=name, data={place: "2019-10-01T00:00:00Z"}))
                assert moved["data"][place] == "2026-01-01T00:00:00.000Z", place


def _properties(schema: Any) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(schema, list):
        return [found for part in schema for found in _properties(part)]
    if not isinstance(schema, dict):
        return []
    own = [
        (name, option)
        for name, found in schema.get("properties", {}).items()
        for option in (found, *found.get("anyOf", ()))
        if isinstance(option, dict)
    ]
    return own + [found for part in schema.values() for found in _properties(part)]


@pytest.mark.parametrize(
    ("source", "becomes"),
    [
        ("/shops/old", "/shops/new"),
        ("/shops/old/till/3", "/shops/new/till/3"),
        ("/shops/other", "/shops/new/other"),  # its ids may be those of the first shop
        ("somewhere", "somewhere"),
        (None, None),
    ],
)
def test_sources_become_those_of_the_fresh_shop(source: object, becomes: object) -> None:
    rewrite = rewriting()
    rewrite(event())
    assert rewrite(event(source=source))[1]["source"] == becomes


def test_what_is_odd_stays_for_tracking_to_refuse() -> None:
    _, moved = rewriting()(event(data={"expires_at": "soon", "stated_at": 5}))
    assert moved["data"] == {"expires_at": "soon", "stated_at": 5}


def test_windows_and_gap_are_divided_to_whole_milliseconds_and_the_rest_stays() -> None:
    windows = (
        Window(id="cart", stage="cart", inactivity=timedelta(minutes=20)),
        Window(id="at-once", event="payment.failed", inactivity=timedelta(0)),
        Window(id="soon", event="exit.intent", inactivity=timedelta(milliseconds=3)),
    )
    found = scaled(Definitions(windows=windows), 7_000)
    assert found.session_gap == timedelta(milliseconds=257)
    assert [window.inactivity / timedelta(milliseconds=1) for window in found.windows] == [171, 0, 1]
    assert (found.grace, found.allowed_lateness) == (Definitions().grace, Definitions().allowed_lateness)


@pytest.mark.parametrize("speed", [1e-6, 1e-300])
def test_a_speed_that_makes_windows_too_long_is_refused(speed: float) -> None:
    with pytest.raises(InputError, match="ten years"):
        scaled(Definitions(), speed)
