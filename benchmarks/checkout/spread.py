"""Median, 99th percentile and longest of many durations."""

from collections.abc import Sequence

__all__ = ["spread"]


def spread(values: Sequence[float]) -> dict[str, float]:
    """`p50`, `p99`, `max` and `count`; all 0 without values."""
    found = sorted(values)
    if not found:
        return {"p50": 0.0, "p99": 0.0, "max": 0.0, "count": 0}

    def at(share: float) -> float:
        return round(found[min(len(found) - 1, int(len(found) * share))], 2)

    return {"p50": at(0.5), "p99": at(0.99), "max": round(found[-1], 2), "count": len(found)}
