"""Logs of real and simulated shops: `relance simulate` says what the plain model says."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from relance.cli.simulate import signals_of
from relance.events import logs
from relance.kernel.instants import parse_ms
from relance.rules.windows_file import load
from tests.reference.model import run

LOGS = [("ecommerce-sessions-a.csv", "ecommerce-sessions"), ("rees46-2019-10-sample.csv", "rees46")]


@pytest.mark.parametrize(("name", "log_format"), LOGS)
@pytest.mark.parametrize("until", [None, "2030-01-01T00:00:00Z"])
def test_simulate_equals_the_model(root: Path, shared: Path, name: str, log_format: str, until: str | None) -> None:
    definitions = load((root / "rules/windows/default.yaml").read_text(), "default.yaml")
    until_ms = None if until is None else parse_ms(until)
    events = list(logs.read(shared / "data" / name, log_format))
    lines = [msgspec.json.encode(event) for event in events]
    found = [msgspec.json.decode(msgspec.json.encode(signal)) for signal in signals_of(definitions, lines, until_ms)]
    assert found == run(events, definitions, until_ms)
    kinds = Counter(signal["kind"] for signal in found)
    orders = sum(event["type"] == "order.completed" for event in events)
    assert 0 < kinds["converted"] <= orders
    if until_ms is not None:
        assert kinds["ended"] == len({signal["session_id"] for signal in found})
        assert kinds["abandoned"] > 100
