"""The alert rules name gauges that the checkout has, forget none that is about a legal date, and are well formed."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from services.checkout.metrics import AfterMetrics, DeskMetrics, StandingMetrics

ROOT = Path(__file__).parents[3]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/alerts/checkout.rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
EXPRESSION = re.compile(
    r"(?:time\(\) - )?(?P<metric>[a-z_]+)(?:\{(?P<labels>[a-z_]+=\"[a-z_]+\")\})? > (?P<bound>[0-9]+)"
)
SEEN_ELSEWHERE = {"relance_checkout_shop_rule_blocks"}  # says of what relance_checkout_shops_blocked counts


def names(*kinds: Any) -> dict[str, tuple[str, ...]]:
    """Metrics by name, with their labels."""
    registry = CollectorRegistry()
    for kind in kinds:
        kind(registry)
    found = (collector for collector in registry._collector_to_names)
    return {one._name: one._labelnames for one in found}  # type: ignore[attr-defined]


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_a_rule_asks_for_a_gauge_that_is_there(rule: dict[str, Any]) -> None:
    told = EXPRESSION.fullmatch(rule["expr"])
    assert told is not None, rule["expr"]
    known = names(AfterMetrics, DeskMetrics, StandingMetrics)
    assert told["metric"] in known
    assert told["labels"] is None or told["labels"].split("=")[0] in known[told["metric"]]
    assert re.fullmatch(r"[0-9]+[mhd]", rule["for"])
    assert rule["labels"]["severity"] in {"page", "ticket", "info"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["do"]


def test_no_name_of_a_rule_is_used_twice() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_every_gauge_of_a_legal_date_has_a_rule_and_is_explained() -> None:
    of_dates = set(names(AfterMetrics, StandingMetrics)) - SEEN_ELSEWHERE
    told = {found["metric"] for rule in RULES if (found := EXPRESSION.fullmatch(rule["expr"]))}
    assert of_dates <= told
    page = (ROOT / "docs/aftercare.md").read_text()
    assert [name for name in of_dates if name.removeprefix("relance_checkout_") not in page] == []
